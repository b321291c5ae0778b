import { ENCRYPTION, FORMER_KEY } from "./machine.js";
import type { Workload } from "./workloads.js";

const LEVELS = ["memory", "relaxed", "full"] as const;

/** Programs whose files are sealed, from the beginning or from some moment on. */
export const ENCRYPTED: readonly Workload[] = [
  {
    name: "encrypted: first open, writes, segments, a checkpoint, close",
    options: { encryption: ENCRYPTION },
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"]);
      await Promise.all(LEVELS.map((level, i) => actor.write(level, [`k${i}`, level])));
      await actor.roll(1);
      await actor.db.checkpoint();
      await actor.write("relaxed", ["a", "2"]);
      await actor.close();
    },
  },
  {
    name: "a plain store is opened with a key, written to, and checkpointed",
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"], ["b", "1"]);
      await actor.close();
      await actor.open({ encryption: ENCRYPTION });
      await actor.write("full", ["a", "2"]);
      await actor.db.checkpoint();
      await actor.write("full", ["b", "2"]);
      await actor.close();
    },
  },
  {
    name: "encrypted: the key changes, over several segments that are used again",
    options: { encryption: { key: FORMER_KEY }, historyBytes: 0 },
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"], ["b", "1"]);
      await actor.roll(1);
      await actor.db.checkpoint();
      await actor.write("relaxed", ["a", "2"]);
      actor.kill();
      await actor.open({ encryption: ENCRYPTION });
      await actor.write("full", ["a", "3"]);
      await actor.db.checkpoint();
      await actor.roll(1);
      await actor.db.checkpoint();
      await actor.roll(2);
      actor.mustHaveRecycled();
      await actor.write("full", ["b", undefined]);
      await actor.close();
    },
  },
  {
    name: "encrypted and compressed, killed and gone on with",
    options: { encryption: ENCRYPTION, compression: "deflate" },
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 3; i++) await actor.write("full", [`k${i}`, `${i}`.repeat(3000)]);
      const done = actor.db.checkpoint();
      await Promise.all([
        actor.write("relaxed", ["k1", undefined]),
        actor.write("full", ["k2", "beside"]),
        done,
      ]);
      actor.kill();
      await actor.open();
      await actor.write("full", ["k1", "back"]);
      await actor.db.checkpoint();
      await actor.write("memory", ["k3", "lost or not"]);
      await actor.close();
    },
  },
  {
    name: "an encrypted store becomes plain",
    options: { encryption: ENCRYPTION },
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"], ["b", "1"]);
      await actor.db.checkpoint();
      await actor.close();
      await actor.open({ encryption: { key: null, previousKeys: [new Uint8Array(32).fill(7)] } });
      await actor.write("full", ["a", "2"]);
      await actor.db.checkpoint();
      await actor.write("full", ["b", undefined]);
      await actor.close();
    },
  },
];
