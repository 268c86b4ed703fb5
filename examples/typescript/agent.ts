/**
 * One conversation with Claude, driven by convtest: `convtest-client` has the protocol, this the Claude Agent SDK.
 *
 * One process holds one SDK session. Its prompts go through a stream, not a string: only
 * then can a session take several turns and be interrupted.
 */
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { query, type Query, type SDKMessage, type SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { Refused, serve, type Asked, type End, type Session, type Turn } from "convtest-client";
import { bareName, mcpServer, toolNames } from "convtest-client/mcp";

type Settings = { model?: string; system?: string; tools?: string[]; max_turns?: number };
type Running = { sdk: Query; prompts: PassThrough; usd: number | null };
type Reading = { uuid: string; block: string; fault: string };

const ENDED: Record<string, string> = {
  aborted_streaming: "interrupted", aborted_tools: "interrupted", max_turns: "max_turns", budget_exhausted: "budget",
  refusal: "refusal", max_tokens: "max_tokens", max_output_tokens: "max_tokens", 429: "rate_limited", 529: "overloaded",
};
const ERRORS: Record<string, string> = {
  authentication_failed: "not_authenticated", model_not_found: "model_not_found",
  prompt_too_long: "context_overflow", 400: "bad_request", 413: "bad_request", 422: "bad_request",
};

const reason = (e: unknown) => (e instanceof Error ? e.message : String(e));

function start({ options, workspace, resume, fork, continue: latest, tools }: Asked<Settings>): Running {
  const prompts = new PassThrough({ objectMode: true });
  const own = options.tools ?? [];
  const sdk = query({
    prompt: prompts,
    options: {
      cwd: workspace,
      model: options.model,
      systemPrompt: options.system ?? "",
      tools: own,
      mcpServers: tools.length ? { convtest: mcpServer(tools) } : {},
      allowedTools: [...own, ...toolNames(tools)],
      maxTurns: options.max_turns,
      resume: resume ?? undefined,
      forkSession: fork,
      continue: latest,
      settingSources: [], // else the user's and the project's own settings leak in
      includePartialMessages: true,
      stderr: (text) => process.stderr.write(text),
    },
  });
  return { sdk, prompts, usd: resume || latest ? null : 0 }; // a resumed bill starts at an unknown sum
}

/** Lets the CLI end by itself: its transcript is whole then, and no process stays behind. */
async function end({ sdk, prompts }: Running) {
  prompts.end();
  try {
    while (!(await sdk.next()).done);
  } catch {} // it exits with 1 after a failed turn, which has been reported by now
}

/** All that the CLI has written down of its sessions, which it does ten times a second. */
async function stored(): Promise<string> {
  const folder = process.env.CLAUDE_CONFIG_DIR ?? join(process.env.HOME ?? "", ".claude");
  const names = await readdir(join(folder, "projects"), { recursive: true }).catch(() => []);
  const texts = names.filter((name) => name.endsWith(".jsonl")).map((name) => readFile(join(folder, "projects", name), "utf8"));
  return (await Promise.all(texts)).join("");
}

class Conversation implements Session {
  id: string | null;
  #running: Running;
  #written: string[] = []; // the messages of the turn in progress that the CLI writes down

  constructor(private asked: Asked<Settings>, running: Running) {
    this.#running = running;
    this.id = asked.fork ? null : asked.resume;
  }

  async turn(content: string, turn: Turn): Promise<End> {
    if (process.env.FORGET) {
      await end(this.#running);
      this.#running = start({ ...this.asked, resume: null, fork: false, continue: false });
    }
    const reading = { uuid: randomUUID(), block: "", fault: "" };
    this.#written = [reading.uuid];
    const prompt = { type: "user", uuid: reading.uuid, message: { role: "user", content }, parent_tool_use_id: null };
    this.#running.prompts.write(prompt);
    return this.#end(reading, await this.#read(reading, turn));
  }

  /** Reads up to this turn's own result: a background task may have left another one. */
  async #read(reading: Reading, turn: Turn): Promise<SDKResultMessage> {
    for (;;) {
      const { value: message, done } = await this.#running.sdk.next();
      if (done) throw new Error("the session ended within the turn");
      if (message.type === "result" && (message.user_message_uuid ?? reading.uuid) === reading.uuid) return message;
      if (message.type === "system" && message.subtype === "init") {
        turn.begin();
        if (message.session_id !== this.id) turn.sessionId((this.id = message.session_id));
      }
      if (isWritten(message)) this.#written.push(message.uuid!);
      report(reading, turn, message);
    }
  }

  /** Goes by everything but `subtype`, which is "success" also for a turn that the API refused. */
  #end(reading: Reading, result: SDKResultMessage): End {
    const status = "api_error_status" in result ? result.api_error_status : null;
    const signs = [result.terminal_reason, result.stop_reason, reading.fault, status].map(String);
    const [ended, error] = [ENDED, ERRORS].map((names) => signs.map((sign) => names[sign]).find(Boolean));
    const lost = result.terminal_reason === "api_error" && !status && !error;
    const ok = !result.is_error && (result.terminal_reason ?? "completed") === "completed";
    const message = result.subtype === "success" ? result.result : result.errors.join("; ");
    const usd = this.#running.usd !== null ? result.total_cost_usd - this.#running.usd : null;
    this.#running.usd = result.total_cost_usd; // a running total
    return {
      error: error ?? null, usd,
      ended: ended ?? (ok ? "complete" : lost ? "connection_lost" : "error"),
      message: ok || ended === "interrupted" ? "" : message,
      usage: {
        input_tokens: result.usage.input_tokens ?? 0,
        output_tokens: result.usage.output_tokens ?? 0,
        cache_read_tokens: result.usage.cache_read_input_tokens ?? 0,
        cache_write_tokens: result.usage.cache_creation_input_tokens ?? 0,
      },
      denied: result.permission_denials.map((denial) => denial.tool_name),
    };
  }

  async interrupt() {
    await this.#running.sdk.interrupt();
  }

  async settle() {
    for (let text = ""; this.#written.some((uuid) => !text.includes(`"uuid":"${uuid}"`)); text = await stored())
      await sleep(10);
  }

  close() {
    return end(this.#running);
  }
}

/** Mere thinking is written down with what follows it, and what is streamed not at all. */
function isWritten(message: SDKMessage): boolean {
  if (message.type !== "assistant" && message.type !== "user") return false;
  return !!message.uuid && [message.message.content].flat().some((block: any) => block.type !== "thinking");
}

function report(reading: Reading, turn: Turn, message: SDKMessage) {
  if (message.type === "stream_event" && !message.parent_tool_use_id) reportDelta(reading, turn, message.event);
  else if (message.type === "assistant" && message.error) reading.fault = message.error; // its text is not the model's
  else if (message.type === "assistant" || message.type === "user")
    for (const block of [message.message.content].flat()) reportBlock(reading, turn, block, message.type);
}

function reportDelta(reading: Reading, turn: Turn, { type, delta }: any) {
  if (type === "content_block_start") reading.block = "";
  if (delta?.type === "thinking_delta") turn.thinking(delta.thinking);
  if (delta?.type !== "text_delta") return;
  reading.block += delta.text;
  turn.text(delta.text);
}

function reportBlock(reading: Reading, turn: Turn, block: any, from: "assistant" | "user") {
  if (block.type === "tool_use") turn.toolUse({ ...block, name: bareName(block.name) });
  if (block.type === "tool_result") {
    const text = [block.content ?? ""].flat().map((part: any) => part.text ?? part).join("");
    turn.toolResult({ id: block.tool_use_id, text, isError: block.is_error });
  }
  if (block.type !== "text" || from !== "assistant") return;
  // When a stream breaks, the SDK may ask again without streaming; then deltas are missing.
  const owed = block.text.startsWith(reading.block) ? block.text.slice(reading.block.length) : block.text;
  if (owed) turn.text(owed);
  reading.block = "";
}

serve<Settings>(async (asked) => {
  const running = start(asked);
  try {
    await running.sdk.initializationResult(); // an unknown session fails here, not at the first turn
  } catch (e) {
    if (/No conversation found|is not a UUID/.test(reason(e))) throw new Refused("session_not_found", reason(e));
    throw e;
  }
  return new Conversation(asked, running);
});
