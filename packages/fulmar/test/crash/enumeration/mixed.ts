import type { Codec, Durability, Transaction } from "../../../src/index.js";
import { encodeKey } from "../../../src/keys/key.js";
import { Coverage } from "../../../src/record/coverage.js";
import { entryBytes, TOMBSTONE, writeEntry } from "../../../src/record/entry.js";
import { hlcFromWall } from "../../../src/record/hybrid-clock.js";
import { portOf } from "../../../src/store/port.js";
import type { Actor } from "./actor.js";
import type { Workload } from "./workloads.js";

const LEVELS = ["memory", "relaxed", "full"] as const;
const ACCOUNTS = ["account a", "account b", "account c"] as const;

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

let marks = 0;

/** Moves one from an account to another, with a note of it, in a transaction that awaits in between. */
function transfer(actor: Actor, level: Durability, from: string, to: string): Promise<void> {
  const mark = `transfer ${marks++}`;
  const body = async (tx: Transaction<string>): Promise<void> => {
    const source = Number(tx.get(from));
    await actor.turns(1);
    tx.set(from, `${source - 1}`);
    tx.set(to, `${Number(tx.get(to)) + 1}`);
    tx.set("note", mark);
  };
  return actor.did(level, actor.db.transact(body, { durability: level }), mark);
}

function accountsBalance(entries: ReadonlyMap<string, string>): void {
  const held = ACCOUNTS.map((key) => entries.get(key));
  if (held.every((each) => each === undefined)) return;
  const sum = held.reduce((total, each) => total + Number(each), 0);
  must(sum === 30, `I2: a transaction is there in part: ${held}`);
}

const transactions: Workload = {
  name: "transactions side by side",
  records: true,
  holds: accountsBalance,
  async run(actor) {
    const [a, b, c] = ACCOUNTS;
    await actor.open();
    await actor.write("full", [a, "10"], [b, "10"], [c, "10"]);
    for (let round = 0; round < 3; round++) {
      const level = LEVELS[round];
      const beside = actor.write("relaxed", ["beside", `${round}`]);
      await Promise.all([transfer(actor, level, a, b), transfer(actor, "full", b, c), beside]);
      if (round === 1) await actor.db.checkpoint();
    }
    actor.kill();
    await actor.open();
    await transfer(actor, "relaxed", c, a);
    await actor.close();
  },
};

/** Text, of which digits alone are a number that can be added to. */
const COUNTING: Codec<string> = {
  name: "counting",
  encode: (value) => new TextEncoder().encode(String(value)),
  decode(bytes) {
    const text = new TextDecoder().decode(bytes);
    return /^\d+$/.test(text) ? (Number(text) as unknown as string) : text;
  },
};

const conditions: Workload = {
  name: "counters, swaps and checked operations",
  records: true,
  holds(entries) {
    const [count, twin] = ["count", "twin"].map((key) => entries.get(key) ?? "none");
    must(count === twin, `I2: ${count} and ${twin} were always changed together`);
  },
  async run(actor) {
    await actor.open({ codec: COUNTING });
    const { db } = actor;
    for (let i = 0; i < 6; i++) {
      const durability = LEVELS[i % 3];
      const both = db.atomic().increment("count", 2).increment("twin", 2).commit({ durability });
      const swap = db.compareAndSwap("job", i === 0 ? undefined : `step ${i - 1}`, `step ${i}`, {
        durability: "full",
      });
      const made = db.create(`made ${i % 2}`, `by ${i}`, { durability });
      await Promise.all([actor.did(durability, both), actor.did("full", swap), actor.did(durability, made)]);
      if (i === 2) await db.checkpoint();
    }
    const [checked, failing] = [db.atomic(), db.atomic()];
    checked.check({ key: "job", exists: true }).delete("job").set("count", "0").set("twin", "0");
    await actor.did("full", checked.commit({ durability: "full" }));
    failing.check({ key: "job", exists: true }).set("count", "77");
    must(!(await failing.commit()).ok, "the job is gone");
    await actor.did("full", db.clear({ prefix: "made" }, { durability: "full" }));
    await actor.close();
  },
};

const deadlines: Workload = {
  name: "deadlines within transactions, and sweeps",
  records: true,
  async run(actor) {
    await actor.open();
    const { db, storage } = actor;
    const body = (tx: Transaction<string>): void => {
      for (const [i, key] of ["x", "y", "z"].entries()) tx.set(key, "set together", { ttl: 100 * (i + 1) });
    };
    await actor.did("full", db.transact(body, { durability: "full" }), "set together");
    await actor.did("full", db.touch("y", 5000, { durability: "full" }));
    await storage.advance(150);
    await actor.write("full", ["x", "again", 40]);
    await actor.did("relaxed", db.persist("z", { durability: "relaxed" }));
    await storage.advance(2000);
    await db.checkpoint();
    await storage.advance(4000);
    await actor.write("relaxed", ["end", "1"]);
    actor.kill();
    await actor.open();
    await actor.write("full", ["y", "back", 60_000]);
    await actor.close();
  },
};

const evictions: Workload = {
  name: "evictions, by hand and for writes",
  records: true,
  options: { maxMemory: 1 << 20, eviction: "lru" },
  async run(actor) {
    await actor.open();
    const { db } = actor;
    for (let i = 0; i < 6; i++) await actor.write("relaxed", [`k${i}`, `${i}`]);
    await db.evict({ entries: 2 });
    await actor.write("full", ["k0", "back"]);
    const before = db.status().memory.evicted.entries;
    // In one group of the log: it is what is evicted that matters, not how large it is.
    for (let i = 0; db.status().memory.evicted.entries === before; i++) {
      must(i < 40, "memory was to be full by now");
      void actor.write("memory", [`large ${i % 20}`, "l".repeat(60_000)], [`small ${i}`, "s"]);
    }
    await actor.write("full", ["k0", "newest"]);
    await db.evict({ bytes: 1_000_000 });
    await db.checkpoint();
    await actor.write("full", ["after", "1"]);
    await actor.close();
  },
};

const PEER = "ab".repeat(16);

/** What a peer sends: the next entries of its own, all of one of its commits, and that they are covered. */
function merge(actor: Actor, seq: number, value: string | undefined): Promise<void> {
  const port = portOf(actor.db);
  const { origins, runtime } = port;
  const pages = ["peer 1", "peer 2", "peer 3"].map((name) => {
    const [key, bytes] = [encodeKey(name, 1000), new TextEncoder().encode(value ?? "")];
    const flags = value === undefined ? TOMBSTONE : 0;
    const page = new Uint8Array(entryBytes(key.length, bytes.length, flags));
    const valueChecksum = runtime.checksum.crc32(bytes, 0, bytes.length, 0);
    const hlc = hlcFromWall(runtime.clock.wallMs()) + seq;
    const fields = { key, value: bytes, flags, origin: origins.intern(PEER), hlc, seq, deadline: 0 };
    writeEntry(page, 0, { ...fields, valueChecksum });
    return page;
  });
  const coverage = new Coverage();
  coverage.set(PEER, { upTo: seq, holes: [] });
  return actor.did("full", port.merge(pages, coverage));
}

const merges: Workload = {
  name: "merges from a peer, beside own writes",
  records: true,
  holds(entries) {
    const [one, ...others] = ["peer 1", "peer 2", "peer 3"].map((key) => entries.get(key));
    must(
      others.every((other) => other === one),
      `I2: a merge is there in part: ${one}, ${others}`,
    );
  },
  async run(actor) {
    await actor.open();
    await portOf(actor.db).beginReplication();
    await actor.write("full", ["own", "0"]);
    let done: Promise<unknown> | undefined;
    for (let seq = 1; seq <= 5; seq++) {
      const own = actor.write(LEVELS[seq % 3], ["own", `${seq}`], [`own ${seq}`, "1"]);
      await Promise.all([merge(actor, seq, seq === 3 ? undefined : `of the peer, ${seq}`), own]);
      // While the next ones are merged.
      if (seq === 2) done = actor.db.checkpoint();
    }
    await done;
    actor.kill();
    await actor.open();
    await merge(actor, 6, "x".repeat(3000));
    await actor.write("relaxed", ["own", "last"]);
    await actor.close();
  },
};

const history: Workload = {
  name: "history that is kept for watches, over several lives",
  records: true,
  options: { historyBytes: 70_000 },
  async run(actor) {
    for (let life = 0; life < 3; life++) {
      await actor.open();
      for (let i = 0; i < 4; i++) {
        await actor.write(
          LEVELS[(i + life) % 3],
          [`k${i}`, `${life}`.padEnd(15_000, "h")],
          [`l${i}`, undefined],
        );
        await actor.turns(3);
      }
      if (life < 2) await actor.db.checkpoint();
      await actor.write("relaxed", ["tail", `${life}`]);
      if (life === 0) await actor.close();
      else actor.kill();
    }
  },
};

const compressed: Workload = {
  name: "compressed checkpoints after and before plain ones",
  records: true,
  async run(actor) {
    for (const [life, compression] of (["none", "deflate", "deflate", "none"] as const).entries()) {
      await actor.open({ compression });
      await actor.write("full", [`life ${life}`, "c".repeat(900)], ["all", "d".repeat(900)]);
      const done = actor.db.checkpoint();
      await actor.write("relaxed", ["during", `${life}`]);
      await done;
      await actor.write("full", ["after", `${life}`]);
      if (life % 2 === 0) actor.kill();
      else await actor.close();
    }
  },
};

/** Programs of what the other ones do not do, whose commits are recorded. */
export const MIXED: readonly Workload[] = [
  transactions,
  conditions,
  deadlines,
  evictions,
  merges,
  history,
  compressed,
];
