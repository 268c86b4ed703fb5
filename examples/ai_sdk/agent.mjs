// A weather agent on the AI SDK. Nothing in it knows of convtest.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { anthropic } from "@ai-sdk/anthropic";
import { stepCountIs, streamText } from "ai";

const BUG = process.env.BUG; // so that the tests can show that what it breaks is caught

/** One answer of the model, as messages. */
class Answer {
  content = [];
  results = new Map();

  add(part) {
    const { type, text, toolCallId, toolName, input } = part;
    const last = this.content.at(-1);
    if (type === "text-delta" && last?.type === "text") last.text += text;
    else if (type === "text-delta") this.content.push({ type: "text", text });
    else if (type === "tool-call") this.content.push({ type, toolCallId, toolName, input });
    else if (type === "tool-result") this.results.set(toolCallId, { type: "text", value: `${part.output}` });
    else if (type === "tool-error") this.results.set(toolCallId, { type: "error-text", value: `${part.error}` });
  }

  /** A turn that was stopped may leave calls without a result, which no model takes. */
  messages() {
    const stopped = { type: "error-text", value: "The user stopped this." };
    const results = this.content
      .filter(({ type, toolCallId }) => type === "tool-call" && (BUG !== "half" || this.results.has(toolCallId)))
      .map(({ toolCallId, toolName }) => (
        { type: "tool-result", toolCallId, toolName, output: this.results.get(toolCallId) ?? stopped }
      ));
    const said = this.content.length ? [{ role: "assistant", content: this.content }] : [];
    return results.length ? [...said, { role: "tool", content: results }] : said;
  }
}

export class Chat {
  constructor(folder, id, tools, model = "claude-haiku-4-5") {
    this.file = join(folder, `${BUG === "mixed" ? "everybody" : id}.json`);
    Object.assign(this, { folder, id, tools, model, history: [] });
  }

  async load() {
    this.history = JSON.parse(await readFile(this.file, "utf8"));
  }

  /** One turn: yields the parts of its stream, and keeps what was yielded, also where it is stopped or killed. */
  async *ask(prompt, signal) {
    const before = [...this.history, { role: "user", content: prompt }];
    const answers = [];
    const { fullStream } = streamText({
      model: anthropic(this.model),
      system: BUG === "no_system" ? undefined : "You are a terse weather assistant.",
      messages: BUG === "window" ? before.slice(-2) : before,
      tools: this.tools,
      stopWhen: stepCountIs(5),
      abortSignal: signal,
      maxRetries: 0,
      onError() {}, // it is in the stream too
    });
    this.history = before;
    try {
      for await (const part of fullStream) {
        if (part.type === "start-step") answers.push(new Answer());
        answers.at(-1)?.add(part);
        this.history = [...before, ...answers.flatMap((one) => one.messages())];
        if (part.type === "tool-call") await this.save();
        yield part;
      }
    } finally {
      await this.save();
    }
  }

  copy(id) {
    return Object.assign(new Chat(this.folder, id, this.tools, this.model), { history: this.history });
  }

  save() {
    return writeFile(this.file, JSON.stringify(this.history));
  }
}
