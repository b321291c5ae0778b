import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { open } from "fulmar";
import { replicate } from "fulmar/sync";
import {
  KEY_COUNT,
  keyAt,
  latencyFigures,
  type Measurement,
  type Run,
  VALUE_BYTES,
  valueAt,
} from "./measure.js";

const PEER = fileURLToPath(new URL("./peer-process.js", import.meta.url));
const ROUNDS = 500;

async function withPeer<T>(
  directory: string,
  work: (peer: ChildProcess, address: string) => Promise<T>,
): Promise<T> {
  const peer = fork(PEER, [`${directory}-peer`]);
  try {
    const [address] = (await once(peer, "message")) as [string];
    return await work(peer, address);
  } finally {
    const gone = once(peer, "exit");
    peer.disconnect();
    await gone;
  }
}

/** How fast a second process takes over a store of 100,000 keys, from its first contact to its own sync. */
export async function replicationThroughput({ directory }: Run): Promise<Measurement> {
  const db = await open<Uint8Array>(directory, { codec: "bytes", durability: "relaxed" });
  for (let i = 0; i < KEY_COUNT; i += 1000) {
    await Promise.all(Array.from({ length: 1000 }, (_, j) => db.set(keyAt(i + j), valueAt(i + j))));
  }
  await db.flush();
  return withPeer(directory, async (_peer, address) => {
    const begin = performance.now();
    const replicator = await replicate(db, { peers: [address] });
    await replicator.synced(undefined, { peers: 1, timeoutMs: 60_000 });
    const ms = performance.now() - begin;
    const note = `${ms.toFixed(0)} ms, synced on both`;
    await replicator.close();
    await db.close();
    return {
      workload: "replicate to a new process (entries)",
      keys: KEY_COUNT,
      valueBytes: VALUE_BYTES,
      operations: KEY_COUNT,
      perSecond: (KEY_COUNT * 1000) / ms,
      note,
    };
  });
}

/** From a write in this process until a watcher in the other has seen it and its word has come back. */
export async function writeToVisible({ directory }: Run): Promise<Measurement> {
  const db = await open<Uint8Array>(directory, { codec: "bytes" });
  return withPeer(directory, async (peer, address) => {
    const replicator = await replicate(db, { peers: [address] });
    await db.set("warm", valueAt(0));
    await replicator.synced(undefined, { peers: 1, timeoutMs: 60_000 });
    const latencies: number[] = [];
    const start = performance.now();
    for (let i = 0; i < ROUNDS; i++) {
      const begin = performance.now();
      const seen = once(peer, "message");
      void db.set("probe", valueAt(i));
      await seen;
      latencies.push(performance.now() - begin);
    }
    const seconds = (performance.now() - start) / 1000;
    const { curveMs: _, ...quantiles } = latencyFigures(latencies.sort((a, b) => a - b));
    await replicator.close();
    await db.close();
    return {
      workload: "write to visible on another process, both synced",
      keys: 1,
      valueBytes: VALUE_BYTES,
      operations: ROUNDS,
      perSecond: ROUNDS / seconds,
      ...quantiles,
      note: "includes the way back by IPC",
    };
  });
}
