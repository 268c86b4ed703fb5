// What convtest is told: how a conversation is opened, and what of its stream is an event.
import { randomUUID } from "node:crypto";
import { dynamicTool, jsonSchema } from "ai";
import { Refused, serve } from "convtest-client";
import { Chat } from "./agent.mjs";

function standIn({ description, inputSchema, call }) {
  const execute = async (input) => {
    const { text, isError } = await call(input);
    if (isError) throw new Error(text);
    return text;
  };
  return dynamicTool({ description, inputSchema: jsonSchema(inputSchema), execute });
}

serve(async ({ options, resume, fork, store, tools }) => {
  const own = Object.fromEntries(tools.map((tool) => [tool.name, standIn(tool)]));
  let chat = new Chat(store, resume ?? randomUUID(), own, options.model);
  await chat.load().catch(() => {
    if (resume) throw new Refused("session_not_found", `no session with the id ${resume}`);
  });
  if (fork) chat = chat.copy(randomUUID());
  return {
    id: chat.id,
    async turn(prompt, turn) {
      for await (const part of chat.ask(prompt, turn.signal)) {
        const { toolCallId: id, toolName: name, input } = part;
        if (part.type === "text-delta") turn.text(part.text);
        else if (part.type === "tool-call") turn.toolUse({ id, name, input });
        else if (part.type === "tool-result") turn.toolResult({ id, text: `${part.output}` });
        else if (part.type === "tool-error") turn.toolResult({ id, text: `${part.error}`, isError: true });
        else if (part.type === "error") throw part.error;
      }
    },
  };
});
