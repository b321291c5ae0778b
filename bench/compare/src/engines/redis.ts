import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { turn } from "../../../dist/measure.js";
import { changed, type Engine, type Handle, type Level } from "../engine.js";

/** Reads two strings, increases the first byte of each, writes both. */
const UPDATE = `
for i = 1, 2 do
  local value = redis.call("GET", KEYS[i])
  redis.call("SET", KEYS[i], string.char((string.byte(value, 1) + 1) % 256) .. string.sub(value, 2))
end`;

function startServer(directory: string, socket: string, level: Level): ChildProcess {
  mkdirSync(directory, { recursive: true });
  const settings = {
    port: "0",
    unixsocket: socket,
    dir: directory,
    appendonly: "yes",
    appendfsync: level === "full" ? "always" : "everysec",
    save: "",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn("redis-server", flags, { stdio: "ignore" });
  process.once("exit", () => server.kill("SIGKILL"));
  return server;
}

async function connect(socket: string, enableAutoPipelining: boolean): Promise<Redis> {
  const client = new Redis({
    path: socket,
    enableAutoPipelining,
    // The server is still starting, or loading.
    retryStrategy: () => 5,
    maxRetriesPerRequest: null,
  });
  // Refused connections until the server is up are no reason to give up; a cell that takes too long is ended.
  client.on("error", () => undefined);
  await new Promise<void>((resolve) => client.once("ready", () => resolve()));
  return client;
}

const asBuffer = (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.length);

/**
 * Transactions of clients of Redis: what was read is watched, and the writes fail where it changed. What is watched
 * belongs to a connection, so that each transaction under way has one to itself.
 */
class Watching {
  readonly #socket: string;
  readonly #idle: Redis[] = [];
  readonly #all: Redis[] = [];

  constructor(socket: string) {
    this.#socket = socket;
  }

  async update(first: string, second: string): Promise<number> {
    const client = this.#idle.pop() ?? (await this.#another());
    for (let attempts = 1; ; attempts++) {
      void client.watch(first, second);
      const [a, b] = await Promise.all([client.getBuffer(first), client.getBuffer(second)]);
      if (a === null || b === null) throw new Error("a key is missing");
      await turn();
      const writes = client
        .multi()
        .set(first, asBuffer(changed(a)))
        .set(second, asBuffer(changed(b)));
      if ((await writes.exec()) === null) continue;
      this.#idle.push(client);
      return attempts;
    }
  }

  close(): void {
    for (const client of this.#all) client.disconnect();
  }

  async #another(): Promise<Redis> {
    const client = await connect(this.#socket, false);
    this.#all.push(client);
    return client;
  }
}

async function openRedis(directory: string, level: Level): Promise<Handle> {
  const socket = join(directory, "redis.sock");
  const server = startServer(directory, socket, level);
  const client = await connect(socket, true);
  const watching = new Watching(socket);
  const digest = (await client.script("LOAD", UPDATE)) as string;
  return {
    set: (key, value) => client.set(key, asBuffer(value)),
    batch: (entries) => client.mset(entries.flatMap(({ key, value }) => [key, asBuffer(value)])),
    getLater: async (key) => (await client.getBuffer(key)) ?? undefined,
    update: (first, second) => client.evalsha(digest, 2, first, second),
    updateLater: (first, second) => watching.update(first, second),
    increment: (counter) => client.incr(counter),
    flush: () => undefined,
    close: async () => {
      const gone = once(server, "exit");
      client.disconnect();
      watching.close();
      // A shutdown that the server answers by writing everything out.
      server.kill("SIGTERM");
      await gone;
    },
    ...(server.pid === undefined ? {} : { serverProcessId: server.pid }),
  };
}

export const redis: Engine = {
  name: "redis",
  durable: true,
  missing: () =>
    spawnSync("redis-server", ["--version"]).status === 0
      ? undefined
      : "no redis-server on this machine, and it could not be installed (Debian's apt as root is needed)",
  open: openRedis,
};
