/** The loop of convtest's line protocol (docs/command.md): commands on stdin, events on stdout, one JSON object a line. */
import { createInterface } from "node:readline";

/** Milliseconds that a session has to close before the process ends all the same. */
const GRACE = 5000;

/** A refusal in convtest's words: `session_not_found`, `session_in_use`, `bad_request` … */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** By the message that asks for it: the method of a session that a program may have. */
const CAPABILITIES = {
  get_messages: "getMessages", load_history: "loadHistory", clear_history: "clearHistory",
  compact_history: "compactHistory", delete: "delete", set: "set", settle: "settle",
};

const reason = (error) => (error instanceof Error ? error.message : String(error));

/** One turn in progress: what is said in it goes out as events. */
class Turn {
  #emit;
  #stop = new AbortController();
  #begun;
  /** Settles once the prompt has been taken; an interrupt that overtook it would stop nothing. */
  begun = new Promise((resolve) => (this.#begun = resolve));

  constructor(emit) {
    this.#emit = emit;
  }

  get signal() {
    return this.#stop.signal;
  }

  begin() {
    this.#begun();
  }

  #say(event) {
    this.#begun();
    this.#emit(event);
  }

  text(text) {
    this.#say({ type: "text", text });
  }

  thinking(text) {
    this.#say({ type: "thinking", text });
  }

  toolUse({ id, name, input }) {
    this.#say({ type: "tool_use", id, name, input });
  }

  toolResult({ id, text, isError = false }) {
    this.#say({ type: "tool_result", id, text, is_error: isError });
  }

  /** The session's id, as soon as it is known. */
  sessionId(id) {
    this.#emit({ type: "session_id", session_id: id });
  }

  async interrupt(session) {
    await this.begun;
    this.#stop.abort();
    await session.interrupt?.(this);
  }
}

/** Serves one session, to the end of the process. `open` is told what is asked for, and gives the session or throws. */
export function serve(open, { input = process.stdin, output = process.stdout, exit = process.exit } = {}) {
  const emit = (event) => output.write(JSON.stringify(event) + "\n");
  const calls = new Map();
  const prompts = [];
  let session = null;
  let turn = null;
  let turns = null; // while any turn runs
  let leaving = false;
  let opening = Promise.resolve();

  /** Has the scenario answer for one of its stand-in tools. */
  function call(name, given) {
    const id = `call-${calls.size + 1}-${Date.now()}`;
    emit({ type: "call", id, name, input: given ?? {} });
    return new Promise((resolve) => calls.set(id, resolve));
  }

  function refuse(error) {
    if (!(error instanceof Refused)) console.error(error);
    emit({ type: "error", error: error instanceof Refused ? error.code : "error", message: reason(error) });
  }

  async function connect(asked) {
    const tools = asked.tools.map((tool) => ({
      name: tool.name, description: tool.description, inputSchema: tool.input_schema,
      call: (given) => call(tool.name, given),
    }));
    try {
      session = await open({
        session: asked.session, options: asked.options, resume: asked.resume, fork: asked.fork, forkAt: asked.fork_at,
        continue: asked.continue, workspace: asked.workspace, store: asked.store, tools,
      });
      const capabilities = Object.keys(CAPABILITIES).filter((name) => typeof session[CAPABILITIES[name]] === "function");
      emit({ type: "connected", session_id: session.id ?? null, capabilities });
    } catch (error) {
      refuse(error);
    }
  }

  /** One by one, in the order in which they were asked. */
  async function takeTurns() {
    for (let prompt; (prompt = prompts.shift()) !== undefined; ) {
      if (!session) {
        refuse(new Refused("not_connected", "there is no session"));
        continue;
      }
      turn = new Turn(emit);
      let end;
      try {
        end = (await session.turn(prompt, turn)) ?? {};
      } catch (error) {
        // What fetch and the SDKs throw at whoever waits when their signal is aborted is the interrupt itself.
        const stopped = turn.signal.aborted && (error === turn.signal.reason || error?.name === "AbortError");
        if (!stopped) console.error(error);
        end = stopped ? {} : { ended: "error", message: reason(error) };
      }
      turn.begin();
      const ended = end.ended ?? (turn.signal.aborted ? "interrupted" : "complete");
      turn = null;
      emit({ ...end, type: "turn_end", ended, session_id: session.id ?? null });
    }
    turns = null;
  }

  async function capability(name, message) {
    try {
      if (!session) throw new Refused("not_connected", "there is no session");
      const given = message.messages ?? message.options;
      const found = await session[CAPABILITIES[name]](...(given === undefined ? [] : [given]));
      if (name === "get_messages") emit({ type: "messages", messages: found });
      else emit(name === "settle" ? { type: "settled" } : { type: "done", session_id: session.id ?? null });
    } catch (error) {
      refuse(error);
    }
  }

  const stop = () => turn?.interrupt(session).catch((error) => console.error("interrupt:", reason(error)));

  /** Interrupts first: what a running turn waits for may never come now. */
  async function leave() {
    if (leaving) return;
    leaving = true;
    setTimeout(() => exit(1), GRACE).unref();
    prompts.length = 0;
    for (const answer of calls.values()) answer({ text: "the session is over", isError: true });
    await opening;
    await stop();
    await turns;
    await session?.close?.();
    emit({ type: "disconnected" });
    exit(0);
  }

  createInterface({ input })
    .on("line", (line) => {
      const message = JSON.parse(line);
      if (message.type === "connect") opening = connect(message);
      else if (message.type === "query") prompts.push(message.text), (turns ??= takeTurns());
      else if (message.type === "interrupt") void stop();
      else if (message.type === "disconnect") void leave();
      else if (message.type === "call_result") {
        calls.get(message.id)?.({ text: message.text, isError: message.is_error ?? false });
        calls.delete(message.id);
      } else if (message.type in CAPABILITIES) void capability(message.type, message);
    })
    .on("close", () => void leave());
  process.on("SIGTERM", () => void leave());
}
