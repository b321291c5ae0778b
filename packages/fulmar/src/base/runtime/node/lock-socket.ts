import { connect, createServer, type Server, type Socket } from "node:net";
import { codeOf, fileError } from "../../errors.js";

/** What a process that wants or has a lock says about itself, as one line of JSON. */
export interface LockAnswer {
  /** For messages only: another container may number its processes alike. */
  readonly pid: number;
  readonly state: "candidate" | "holder";
}

/** How long to wait for answers, in ms. */
export interface LockPatience {
  /** For the first answer: a holder may be blocked in a long computation, or stopped. */
  readonly answerMs: number;
  /** For a candidate to become holder or withdraw. */
  readonly settleMs: number;
}

/**
 * `dead`: nobody listens, and nobody ever will under this name. `ended`: it was alive when asked, and
 * ended the conversation undecided. `alive`: it lives; `answer` is missing if it said nothing in time.
 */
export type LockOutcome =
  | { readonly kind: "dead" }
  | { readonly kind: "ended" }
  | { readonly kind: "alive"; readonly answer: LockAnswer | undefined };

/** Most processes that may ask at once; each holds its connection only until the state is settled. */
const ASKERS_MAX = 128;
/** Longest answer that is read. */
const ANSWER_LENGTH_MAX = 256;
/** With these a connection attempt proves that no process listens at a socket's path. */
const DEAD = new Set(["ECONNREFUSED", "ENOENT"]);

/** The listening end: tells every process that asks what this one is, and tells it again when that changes. */
export class LockSocket {
  readonly #server: Server;
  readonly #askers = new Set<Socket>();
  #state: LockAnswer["state"] = "candidate";

  constructor() {
    this.#server = createServer((asker) => this.#welcome(asker));
    this.#server.maxConnections = ASKERS_MAX;
    this.#server.on("error", () => {
      // An asker that cannot be accepted gets no answer, and so takes the lock as held.
    });
  }

  /** Binds and listens at `path`. Does not keep the process alive. */
  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // Exclusive: a worker of node:cluster would otherwise ask its primary to listen in its place.
      this.#server.listen({ path, exclusive: true }, () => {
        this.#server.off("error", reject);
        resolve();
      });
      this.#server.unref();
    });
  }

  /** From now on, and to those who wait, the answer is "holder". */
  becomeHolder(): void {
    this.#state = "holder";
    for (const asker of this.#askers) this.#say(asker);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const asker of this.#askers) asker.destroy();
    });
  }

  #welcome(asker: Socket): void {
    this.#askers.add(asker);
    asker.unref();
    asker.on("error", () => asker.destroy());
    asker.on("close", () => this.#askers.delete(asker));
    asker.resume();
    this.#say(asker);
  }

  #say(asker: Socket): void {
    const line = `${JSON.stringify({ pid: process.pid, state: this.#state })}\n`;
    if (this.#state === "holder") asker.end(line, () => asker.destroy());
    else asker.write(line);
  }
}

function parseAnswer(line: string): LockAnswer | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || !("pid" in value) || !("state" in value))
      return undefined;
    const { pid, state } = value;
    if (typeof pid !== "number" || (state !== "candidate" && state !== "holder")) return undefined;
    return { pid, state };
  } catch {
    return undefined;
  }
}

/** Asks the socket at `path` what it is, and listens on until an answer `settles` the matter. */
export function askLock(
  path: string,
  settles: (answer: LockAnswer) => boolean,
  patience: LockPatience,
): Promise<LockOutcome> {
  return new Promise((resolve, reject) => {
    let text = "";
    let answer: LockAnswer | undefined;
    const socket = connect(path);
    const finish = (outcome: LockOutcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    // If it was our own event loop that was blocked, the answer is here already, only not yet read.
    const expire = (): void => void setImmediate(() => finish({ kind: "alive", answer }));
    let timer = setTimeout(expire, patience.answerMs);
    socket.setEncoding("latin1");
    socket.on("data", (part: string) => {
      const lines = (text + part).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (answer === undefined) {
          clearTimeout(timer);
          timer = setTimeout(expire, patience.settleMs);
        }
        answer = parseAnswer(line);
        if (answer === undefined || settles(answer)) return finish({ kind: "alive", answer });
      }
      if (text.length > ANSWER_LENGTH_MAX) finish({ kind: "alive", answer: undefined });
    });
    socket.on("end", () => finish({ kind: "ended" }));
    socket.on("error", (error) => {
      const code = codeOf(error) ?? "";
      if (DEAD.has(code)) return finish({ kind: "dead" });
      if (code === "ECONNRESET" || code === "EPIPE") return finish({ kind: "ended" });
      if (code === "EACCES" || code === "EPERM") reject(fileError(error, "ask who holds", path));
      // Anything else, such as a full backlog, is no proof of death.
      finish({ kind: "alive", answer: undefined });
    });
  });
}

/** Whether nobody listens at `path`. Asks nothing, so that it never waits. */
export function isDeadLock(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", (error) => resolve(DEAD.has(codeOf(error) ?? "")));
  });
}
