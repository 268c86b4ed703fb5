/**
 * One conversation with Claude, driven by JSON lines: commands on stdin, events on stdout.
 *
 * One process holds one SDK session. Its prompts go through a stream, not a string: only
 * then can a session take several turns and be interrupted.
 */
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { query, type Query, type SDKMessage, type SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";

type Settings = { model?: string; system?: string; tools?: string[]; max_turns?: number };
type Connect = { options: Settings; resume: string | null; fork: boolean; continue: boolean; workspace: string };
type Session = { sdk: Query; prompts: PassThrough; id: string | null; usd: number | null };
type Turn = { uuid: string; begin: () => void; block: string; fault: string };

const ENDED: Record<string, string> = {
  aborted_streaming: "interrupted", aborted_tools: "interrupted", max_turns: "max_turns", budget_exhausted: "budget",
  refusal: "refusal", max_tokens: "max_tokens", max_output_tokens: "max_tokens", 429: "rate_limited", 529: "overloaded",
};
const ERRORS: Record<string, string> = {
  authentication_failed: "not_authenticated", model_not_found: "model_not_found",
  prompt_too_long: "context_overflow", 400: "bad_request", 413: "bad_request", 422: "bad_request",
};

let asked: Connect;
let session: Session | null = null;
const waiting: string[] = [];
let turns: Promise<void> | null = null; // while any turn runs
let begun: Promise<void> | null = null; // settles once the CLI has taken the prompt

const emit = (event: object) => process.stdout.write(JSON.stringify(event) + "\n");
const reason = (e: unknown) => (e instanceof Error ? e.message : String(e));

function open({ options, workspace, resume, fork, continue: latest }: Connect): Session {
  const prompts = new PassThrough({ objectMode: true });
  const sdk = query({
    prompt: prompts,
    options: {
      cwd: workspace,
      model: options.model,
      systemPrompt: options.system ?? "",
      tools: options.tools ?? [],
      allowedTools: options.tools ?? [],
      maxTurns: options.max_turns,
      resume: resume ?? undefined,
      forkSession: fork,
      continue: latest,
      settingSources: [], // else the user's and the project's own settings leak in
      includePartialMessages: true,
      stderr: (text) => process.stderr.write(text),
    },
  });
  return { sdk, prompts, id: null, usd: resume || latest ? null : 0 }; // a resumed bill starts at an unknown sum
}

/** Lets the CLI end by itself: its transcript is whole then, and no process stays behind. */
async function close({ sdk, prompts }: Session) {
  prompts.end();
  try {
    while (!(await sdk.next()).done);
  } catch {} // it exits with 1 after a failed turn, which has been reported by now
}

async function connect(wanted: Connect) {
  const opened = open((asked = wanted));
  try {
    await opened.sdk.initializationResult(); // an unknown session fails here, not at the first turn
    session = opened;
    emit({ type: "connected", session_id: wanted.fork ? null : wanted.resume, capabilities: [] });
  } catch (e) {
    const unknown = /No conversation found|is not a UUID/.test(reason(e));
    emit({ type: "error", error: unknown ? "session_not_found" : "error", message: reason(e) });
  }
}

/** One by one: a prompt sent during a tool call would be folded into the running turn, with one answer for both. */
async function takeTurns() {
  for (let prompt; (prompt = waiting.shift()) !== undefined; ) await takeTurn(prompt);
  turns = null;
}

async function takeTurn(content: string) {
  if (!session) return emit({ type: "error", error: "not_connected", message: "there is no session" });
  const turn: Turn = { uuid: randomUUID(), begin: () => {}, block: "", fault: "" };
  begun = new Promise((resolve) => (turn.begin = resolve));
  try {
    if (process.env.FORGET) {
      await close(session);
      session = open({ ...asked, resume: null, fork: false, continue: false });
    }
    session.prompts.write({ type: "user", uuid: turn.uuid, message: { role: "user", content }, parent_tool_use_id: null });
    end(session, turn, await readTurn(session, turn));
  } catch (e) {
    end(session, turn, null, reason(e));
    session = null; // its CLI is gone
  } finally {
    turn.begin();
  }
}

/** Reads up to this turn's own result: a background task may have left another one. */
async function readTurn(session: Session, turn: Turn): Promise<SDKResultMessage> {
  for (;;) {
    const { value: message, done } = await session.sdk.next();
    if (done) throw new Error("the session ended within the turn");
    if (message.type === "result" && (message.user_message_uuid ?? turn.uuid) === turn.uuid) return message;
    if (message.type === "system" && message.subtype === "init") {
      turn.begin();
      if (message.session_id !== session.id) emit({ type: "session_id", session_id: (session.id = message.session_id) });
    }
    report(turn, message);
  }
}

function report(turn: Turn, message: SDKMessage) {
  if (message.type === "stream_event" && !message.parent_tool_use_id) reportDelta(turn, message.event);
  else if (message.type === "assistant" && message.error) turn.fault = message.error; // its text is not the model's
  else if (message.type === "assistant" || message.type === "user")
    for (const block of [message.message.content].flat()) reportBlock(turn, block, message.type);
}

function reportDelta(turn: Turn, { type, delta }: any) {
  if (type === "content_block_start") turn.block = "";
  if (delta?.type === "thinking_delta") emit({ type: "thinking", text: delta.thinking });
  if (delta?.type !== "text_delta") return;
  turn.block += delta.text;
  emit({ type: "text", text: delta.text });
}

function reportBlock(turn: Turn, block: any, from: "assistant" | "user") {
  if (block.type === "tool_use") emit({ type: "tool_use", id: block.id, name: block.name, input: block.input });
  if (block.type === "tool_result") {
    const text = [block.content ?? ""].flat().map((part: any) => part.text ?? part).join("");
    emit({ type: "tool_result", id: block.tool_use_id, text, is_error: block.is_error ?? false });
  }
  if (block.type !== "text" || from !== "assistant") return;
  // When a stream breaks, the SDK may ask again without streaming; then deltas are missing.
  const owed = block.text.startsWith(turn.block) ? block.text.slice(turn.block.length) : block.text;
  if (owed) emit({ type: "text", text: owed });
  turn.block = "";
}

/** Goes by everything but `subtype`, which is "success" also for a turn that the API refused. */
function end(session: Session, turn: Turn, result: SDKResultMessage | null, failure = "") {
  const status = result && "api_error_status" in result ? result.api_error_status : null;
  const signs = [result?.terminal_reason, result?.stop_reason, turn.fault, status].map(String);
  const [ended, error] = [ENDED, ERRORS].map((names) => signs.map((sign) => names[sign]).find(Boolean));
  const lost = result?.terminal_reason === "api_error" && !status && !error;
  const ok = result !== null && !result.is_error && (result.terminal_reason ?? "completed") === "completed";
  const message = result?.subtype === "success" ? result.result : (result?.errors.join("; ") ?? failure);
  const usd = result && session.usd !== null ? result.total_cost_usd - session.usd : null;
  session.usd = result?.total_cost_usd ?? null; // a running total
  emit({
    type: "turn_end", error: error ?? null, usd, session_id: session.id,
    ended: ended ?? (ok ? "complete" : lost ? "connection_lost" : "error"),
    message: ok || ended === "interrupted" ? "" : message,
    usage: {
      input_tokens: result?.usage.input_tokens ?? 0,
      output_tokens: result?.usage.output_tokens ?? 0,
      cache_read_tokens: result?.usage.cache_read_input_tokens ?? 0,
      cache_write_tokens: result?.usage.cache_creation_input_tokens ?? 0,
    },
    denied: result?.permission_denials.map((denial) => denial.tool_name) ?? [],
  });
}

/** One that overtook its prompt would stop nothing, so it waits until the turn has begun. */
async function interrupt() {
  await begun;
  await session?.sdk.interrupt().catch((e) => console.error("interrupt:", reason(e)));
}

/** Interrupts first: a running turn keeps the CLI from seeing that its input has ended. */
async function leave() {
  setTimeout(() => process.exit(1), 5000); // which kills a CLI that hangs
  waiting.length = 0;
  if (turns) await interrupt();
  await turns;
  if (session) await close(session);
  emit({ type: "disconnected" });
  process.exit(0);
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    if (command.type === "connect") void connect(command);
    if (command.type === "query") waiting.push(command.text), (turns ??= takeTurns());
    if (command.type === "interrupt") void interrupt();
    if (command.type === "disconnect") void leave();
  })
  .on("close", leave);
process.on("SIGTERM", leave);
