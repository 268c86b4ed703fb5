import type { Tool } from "./index.js";

/** For `mcpServers` of the Claude Agent SDK's options: `{ convtest: mcpServer(asked.tools) }`. */
export function mcpServer(tools: Tool[], name?: string): { type: "sdk"; name: string; instance: any };

/** The names by which the CLI knows these tools, for `allowedTools`. */
export function toolNames(tools: Tool[], name?: string): string[];

/** A tool's name as the scenario has it; others' stay as they are. */
export function bareName(name: string, server?: string): string;
