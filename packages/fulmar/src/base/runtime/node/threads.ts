import { MessageChannel, MessagePort, markAsUntransferable, receiveMessageOnPort } from "node:worker_threads";
import type { ChannelHandler, ThreadChannel, Threads } from "../interface.js";

export type { MessagePort as ThreadPort } from "node:worker_threads";

/** A message port, of which messages can also be taken in line. */
class PortChannel implements ThreadChannel {
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
    port.unref();
  }

  post(message: unknown): void {
    this.#port.postMessage(message);
  }

  receive(): unknown {
    return receiveMessageOnPort(this.#port)?.message;
  }

  start(handler: ChannelHandler): void {
    this.#port.on("message", (message) => handler.message(message));
    this.#port.on("close", () => handler.closed());
    // Listening would keep the thread alive.
    this.#port.unref();
  }

  keepAlive(keeps: boolean): void {
    if (keeps) this.#port.ref();
    else this.#port.unref();
  }

  close(): void {
    this.#port.close();
  }
}

export const nodeThreads: Threads = Object.freeze({
  channel() {
    const { port1, port2 } = new MessageChannel();
    return { own: new PortChannel(port1), other: port2 };
  },
  join(other: unknown): ThreadChannel | undefined {
    return other instanceof MessagePort ? new PortChannel(other) : undefined;
  },
  withhold: markAsUntransferable,
});
