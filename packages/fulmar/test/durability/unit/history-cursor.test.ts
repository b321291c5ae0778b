import { beforeEach, describe, expect, test } from "vitest";
import type { PastCommit, PastSegment } from "../../../src/durability/history.js";
import { LogCursor } from "../../../src/durability/history-cursor.js";
import { EVICTED, EXPIRED, entryLength, keyOf, originOf, TOMBSTONE } from "../../../src/record/entry.js";
import { OriginTable } from "../../../src/record/origins.js";
import { machine } from "../harness.js";
import { FOREIGN, FOREIGN_NUMBER, PastLog, STORE_ID, WRITER } from "./past-log.js";
import { countedReads, type Steady, steady } from "./steady.js";

let rig: Steady;
let log: PastLog;
let origins: OriginTable;
let segments: PastSegment[];
let ends: number[][];

beforeEach(async () => {
  rig = steady(machine().runtime);
  log = new PastLog(rig.runtime, 10);
  await rig.runtime.fileSystem.makeDirectory(log.layout.log);
  const commit = (version: number) => ({ version, entries: [{ key: `k${version}` }] });
  ends = [
    await log.segment(3, [11, 12, 15].map(commit)),
    await log.segment(4, [16, 17].map(commit)),
    await log.segment(5, [18].map(commit)),
  ];
  segments = log.segments;
  origins = new OriginTable();
  origins.intern("9".repeat(32));
});

const cursor = (after: number, exact = false): LogCursor =>
  new LogCursor({ runtime: rig.runtime, storeId: STORE_ID, origins, segments: () => segments }, after, exact);

interface Shown {
  readonly reached: number | undefined;
  readonly versions: readonly number[];
}

/** Reads until the visitor was shown `most` commits. */
async function read(from: LogCursor, through: number, most = 100): Promise<Shown> {
  const versions: number[] = [];
  const reached = await from.read(through, ({ version }) => versions.push(version) < most);
  return { reached, versions };
}

const ALL = [11, 12, 15, 16, 17, 18];

describe("a reader of the history", () => {
  test("is shown every commit behind a version, in order", async () => {
    for (let after = 10; after <= 18; after++) {
      const versions = ALL.filter((version) => version > after);
      expect(await read(cursor(after), 18), `after ${after}`).toEqual({ reached: 18, versions });
    }
  });

  test("is shown no commit above the one that it may see, and the others when it comes back", async () => {
    for (let through = 10; through <= 18; through++) {
      const one = cursor(10);
      const first = ALL.filter((version) => version <= through);
      const rest = ALL.filter((version) => version > through);
      expect(await read(one, through), `through ${through}`).toEqual({ reached: through, versions: first });
      expect(await read(one, 18)).toEqual({ reached: 18, versions: rest });
      expect(await read(one, 18)).toEqual({ reached: 18, versions: [] });
    }
  });

  test("is shown as many as it takes, and goes on from there", async () => {
    for (let most = 1; most <= 6; most++) {
      const one = cursor(10);
      expect(await read(one, 18, most)).toEqual({ reached: ALL[most - 1], versions: ALL.slice(0, most) });
      expect(await read(one, 18)).toEqual({ reached: 18, versions: ALL.slice(most) });
    }
  });

  test("reads on in what was written since", async () => {
    const one = cursor(10);
    expect((await read(one, 18)).versions).toEqual(ALL);
    await log.segment(6, [{ version: 20, entries: [] }]);
    expect(await read(one, 25)).toEqual({ reached: 25, versions: [20] });
  });

  test("may ask for what follows exactly one commit, and is told when there was none such", async () => {
    expect(await read(cursor(12, true), 18)).toEqual({ reached: 18, versions: [15, 16, 17, 18] });
    expect(await read(cursor(10, true), 18)).toEqual({ reached: 18, versions: ALL });
    expect(await read(cursor(15, true), 18)).toEqual({ reached: 18, versions: [16, 17, 18] });
    expect(await read(cursor(18, true), 18)).toEqual({ reached: 18, versions: [] });
    const between = cursor(13, true);
    expect(await read(between, 18)).toEqual({ reached: undefined, versions: [] });
    const one = cursor(12, true);
    expect((await read(one, 18, 1)).versions).toEqual([15]);
    expect((await read(one, 18)).versions).toEqual([16, 17, 18]);
  });

  test("is told when what comes next is not kept", async () => {
    expect(await read(cursor(9), 18)).toEqual({ reached: undefined, versions: [] });
    const one = cursor(10);
    await read(one, 18, 1);
    segments = segments.slice(1);
    expect(await read(one, 18)).toEqual({ reached: undefined, versions: [] });
  });

  test("is told when what it reads is let go meanwhile, and of damage when it is not", async () => {
    const [first] = segments;
    await log.flip(first, ends[0][1] - 1);
    await expect(read(cursor(10), 18)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: first.path, offset: ends[0][0] },
    });
    const kept = segments;
    const one = new LogCursor(
      {
        runtime: rig.runtime,
        storeId: STORE_ID,
        origins,
        segments: () => {
          const now = segments;
          segments = kept.slice(1);
          return now;
        },
      },
      10,
      false,
    );
    expect(await read(one, 18)).toEqual({ reached: undefined, versions: [11] });
  });
});

describe("a history is damaged", () => {
  test("where a record is not what follows", async () => {
    const [first] = segments;
    for (const at of [ends[0][0] + 2, ends[0][0] + 45, ends[0][1] - 1]) {
      await log.flip(first, at);
      const one = cursor(10);
      await expect(read(one, 18)).rejects.toMatchObject({
        code: "CORRUPT",
        details: { file: first.path, offset: ends[0][0] },
      });
      await log.flip(first, at);
      expect(await read(one, 18)).toEqual({ reached: 18, versions: [12, 15, 16, 17, 18] });
    }
  });

  test("where a file ends too early", async () => {
    const [first] = segments;
    const handle = await rig.runtime.fileSystem.open(first.path, "update");
    for (const length of [ends[0][2] - 1, ends[0][1] + 10]) {
      await handle.truncate(length);
      segments = [{ ...first, end: length }, ...segments.slice(1)];
      await expect(read(cursor(10), 18)).rejects.toMatchObject({
        code: "CORRUPT",
        details: { file: first.path, offset: ends[0][1] },
      });
    }
    await handle.close();
  });

  test("is read with nothing under way when damage is told, and no more than it has to be", async () => {
    const large = (version: number) => ({ version, entries: [{ key: "a", valueBytes: 700_000 }] });
    await log.segment(6, [19, 20, 21, 22, 23].map(large));
    await log.flip(segments[3], 200_000);
    let reads = { begun: 0, underWay: 0 };
    const { fileSystem } = rig.runtime;
    const open: typeof fileSystem.open = async (path) => {
      const counted = await countedReads(rig.runtime, path);
      reads = counted.reads;
      return counted.handle;
    };
    const watched = new Proxy(fileSystem, {
      get: (target, key) => {
        if (key === "open") return open;
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const runtime = { ...rig.runtime, fileSystem: watched };
    const parts = { runtime, storeId: STORE_ID, origins, segments: () => segments };
    await expect(read(new LogCursor(parts, 18, false), 23)).rejects.toMatchObject({ code: "CORRUPT" });
    expect(reads).toEqual({ begun: 2, underWay: 0 });
  });

  test("where a segment does not continue the one before, or has no opening", async () => {
    const [first, second, third] = segments;
    segments = [first, third];
    const damage = { code: "CORRUPT", details: { file: third.path, offset: 0 } };
    await expect(read(cursor(10), 18)).rejects.toMatchObject(damage);
    segments = [first, second, third];
    await log.flip(second, 100);
    await expect(read(cursor(16), 18)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: second.path, offset: 0 },
    });
  });
});

describe("a commit", () => {
  const shown = async (): Promise<{ remote: boolean; origins: number[]; keys: string[] }[]> => {
    const list: { remote: boolean; origins: number[]; keys: string[] }[] = [];
    await cursor(18).read(30, ({ remote, bytes, at, entryCount }: PastCommit) => {
      const found = { remote, origins: [] as number[], keys: [] as string[] };
      for (let i = 0, next = at; i < entryCount; i++, next += entryLength(bytes, next)) {
        found.origins.push(originOf(bytes, next));
        found.keys.push(new TextDecoder().decode(keyOf(bytes, next)));
      }
      list.push(found);
      return true;
    });
    return list;
  };

  test("is remote when it holds what another store wrote, or says what is covered of one", async () => {
    const expired = { flags: TOMBSTONE | EXPIRED, valueBytes: 0, origin: FOREIGN_NUMBER };
    const evicted = { ...expired, flags: TOMBSTONE | EVICTED };
    const coverage = { upTo: 3, holes: [] };
    await log.segment(6, [
      { version: 19, entries: [{ key: "a" }, { key: "b" }] },
      { version: 20, entries: [{ key: "a" }, { key: "b", origin: FOREIGN_NUMBER }] },
      { version: 21, entries: [{ key: "a" }], changes: [{ origin: FOREIGN_NUMBER, coverage }] },
      {
        version: 22,
        entries: [
          { key: "a", ...expired },
          { key: "b", ...evicted },
        ],
      },
      {
        version: 23,
        entries: [
          { key: "a", ...expired },
          { key: "b", origin: FOREIGN_NUMBER },
        ],
      },
      { version: 24, entries: [] },
    ]);
    const found = await shown();
    expect(found.map(({ remote }) => remote)).toEqual([false, true, true, false, true, false]);
    expect(found[1].keys).toEqual(["a", "b"]);
    // Numbers of origins are those of the reading store.
    expect([origins.id(2), origins.id(3)]).toEqual([WRITER, FOREIGN]);
    expect(found[1].origins).toEqual([2, 3]);
  });

  test("after the other is read so that others can work", async () => {
    const large = (version: number) => ({ version, entries: [{ key: "a", valueBytes: 600_000 }] });
    await log.segment(6, [19, 20, 21, 22].map(large));
    rig.turns = 0;
    expect(await shown()).toHaveLength(4);
    expect(rig.turns).toBe(2);
  });
});
