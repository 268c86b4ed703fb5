/** A stand-in tool of the scenario, to offer to the model. */
export interface Tool {
  name: string;
  description: string;
  /** JSON Schema. */
  inputSchema: Record<string, unknown>;
  /** Has the scenario answer. */
  call(input: unknown): Promise<{ text: string; isError: boolean }>;
}

/** What is asked of a session when it is opened. */
export interface Asked<Options = Record<string, unknown>> {
  /** The session's name in the scenario. */
  session: string;
  options: Options;
  /** The id of a session to go on with. */
  resume: string | null;
  /** With `resume`: under a new id, the old session left as it is. */
  fork: boolean;
  /** With `fork`: only this many turns are kept. */
  forkAt: number | null;
  continue: boolean;
  /** The folder with the scenario's files. */
  workspace: string;
  /** A folder that outlives the process. */
  store: string;
  tools: Tool[];
}

/** How a turn ended, in the words of docs/command.md; what is left out is as it is without. */
export interface End {
  ended?: string;
  error?: string | null;
  message?: string;
  usage?: { input_tokens?: number; output_tokens?: number; cache_read_tokens?: number; cache_write_tokens?: number };
  usd?: number | null;
  denied?: string[];
  boundary?: boolean;
  rounds?: number;
  reason?: string;
  retried?: string[];
}

export interface Turn {
  /** Aborted when the turn is interrupted. */
  readonly signal: AbortSignal;
  text(text: string): void;
  thinking(text: string): void;
  toolUse(use: { id: string; name: string; input: unknown }): void;
  toolResult(result: { id: string; text: string; isError?: boolean }): void;
  /** The session's id, as soon as it is known. */
  sessionId(id: string): void;
  /** The prompt has been taken: an interrupt waits for this, or for the turn's first event. */
  begin(): void;
}

/** Optional methods are capabilities that steps of a scenario may need. */
export interface Session {
  readonly id: string | null;
  turn(prompt: string, turn: Turn): Promise<End | void>;
  /** End the turn in progress; where it is missing, `turn.signal` alone says so. */
  interrupt?(turn: Turn): Promise<void> | void;
  close?(): Promise<void> | void;
  getMessages?(): Promise<unknown[]>;
  loadHistory?(messages: unknown[]): Promise<void>;
  clearHistory?(): Promise<void>;
  compactHistory?(): Promise<void>;
  delete?(): Promise<void>;
  set?(options: Record<string, unknown>): Promise<void>;
  /** Before a kill, in mid-turn too: resolves once all that it was asked and has said is on disk. */
  settle?(): Promise<void>;
}

/** A refusal in convtest's words: `session_not_found`, `session_in_use`, `bad_request` … */
export class Refused extends Error {
  constructor(code: string, message: string);
  readonly code: string;
}

/** Serves one session, to the end of the process. `open` gives the session, or throws. */
export function serve<Options = Record<string, unknown>>(
  open: (asked: Asked<Options>) => Promise<Session> | Session,
  io?: { input?: NodeJS.ReadableStream; output?: NodeJS.WritableStream; exit?: (code: number) => void },
): void;
