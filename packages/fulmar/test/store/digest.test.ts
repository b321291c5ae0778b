import { describe, expect, it } from "vitest";
import { open } from "../../src/index.js";
import { ALL_KEYS } from "../../src/keys/range.js";
import { LATEST } from "../../src/memory/engine.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { digest, digestAsync } from "../../src/store/digest.js";
import { ascii, entry, put, quickHash } from "../memory/fixtures.js";

type DigestCore = Parameters<typeof digestAsync>[0];

const KEYS = 20_000;
const STRIDE = 50;

const name = (index: number): Uint8Array => ascii(`key ${String(index).padStart(6, "0")}`);

/** What `digestAsync` needs of a store, with an engine in which every turn of the event loop changes each leaf. */
function busyCore() {
  const engine = createEngine({ hash: quickHash });
  let version = 0;
  for (let i = 0; i < KEYS; i++) put(engine, ++version, entry(name(i), { value: ascii("v") }));
  engine.settle(version);
  const state = { turns: 0, pins: 0, atPin: "", alive: true, open: true, changes: true };
  const core: DigestCore = {
    engine,
    limits: { keyBytesMax: 4096 } as DigestCore["limits"],
    clock: { monotonicMs: () => 0, wallMs: () => 0 },
    timers: {
      turn: async () => {
        state.turns++;
        if (!state.changes) return;
        version++;
        for (let i = 0; i < KEYS; i += STRIDE)
          put(engine, version, entry(name(i), { value: ascii(`${version}`) }));
        engine.settle(version);
      },
    } as DigestCore["timers"],
    committer: {
      pin: (at: number) => {
        const pin = engine.pin(at);
        state.pins++;
        state.atPin = digest(core, undefined);
        return {
          version: pin.version,
          takenMs: 0,
          get alive() {
            return state.alive;
          },
          release: () => {
            state.pins--;
            pin.release();
          },
        };
      },
    } as unknown as DigestCore["committer"],
    finishMerge: () => undefined,
    assertOpen: () => {
      if (!state.open) throw Object.assign(new Error("closed"), { code: "CLOSED" });
    },
  };
  return { core, engine, state };
}

describe("digestAsync", () => {
  it("gives what digest gives, of everything and of a range", async () => {
    await using db = await open<number>();
    await db.batch(Array.from({ length: 9000 }, (_, i) => ({ type: "set", key: `key ${i}`, value: i })));
    await db.delete("key 17");
    const range = { prefix: "key 1" } as const;
    const part = await db.digestAsync(range);
    expect(part).toBe(db.digest(range));
    expect(await db.digestAsync()).toBe(db.digest());
    expect(part).not.toBe(db.digest());
    await expect(db.digestAsync({ from: 1 } as object)).rejects.toMatchObject({ code: "UNKNOWN_OPTION" });
    await db.close();
    await expect(db.digestAsync()).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("lets the event loop turn while it hashes, and ends with what is there then", async () => {
    const { core, engine, state } = busyCore();
    state.changes = false;
    const pending = digestAsync(core, undefined);
    put(engine, engine.version + 1, entry(name(5), { value: ascii("late") }));
    engine.settle(engine.version);
    expect(await pending).toBe(digest(core, undefined));
    expect(state.turns).toBeGreaterThan(KEYS / 64 / 256);
    expect(state.pins).toBe(0);
  });

  it("is of one state while everything changes faster than it hashes", async () => {
    const { core, state } = busyCore();
    const result = await digestAsync(core, undefined);
    expect(result).toBe(state.atPin);
    expect(result).not.toBe(digest(core, undefined));
    expect(state.pins).toBe(0);
    const { to } = ALL_KEYS;
    expect(core.engine.digest({ from: name(0), to }, LATEST).count).toBe(KEYS);
  });

  it("rejects once the store is closed, or the log refused what it hashed, and lets go of the state", async () => {
    for (const [member, code] of [
      ["open", "CLOSED"],
      ["alive", "ROLLED_BACK"],
    ] as const) {
      const { core, state } = busyCore();
      const { turn } = core.timers;
      core.timers.turn = async () => {
        await turn();
        if (state.pins > 0) state[member] = false;
      };
      await expect(digestAsync(core, undefined)).rejects.toMatchObject({ code });
      expect(state.pins).toBe(0);
    }
  });
});
