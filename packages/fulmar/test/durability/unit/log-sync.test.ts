import { describe, expect, test, vi } from "vitest";
import { FulmarError } from "../../../src/base/errors.js";
import { GROUP_BYTES_MAX } from "../../../src/base/limits.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { LogSegments } from "../../../src/durability/log-segments.js";
import { LogSync } from "../../../src/durability/log-sync.js";
import type { LogWriterParts, Progress } from "../../../src/durability/log-writer-parts.js";
import { FIRST_AT, LogRig, ManualFile, segment, settled, systemError } from "./log-rig.js";

// More than any other test here lets gather.
const LIMITS = vi.hoisted(() => ({ UNSYNCED_COMMITS_MAX: 1000 }));
vi.mock("../../../src/base/limits.js", async (original) => ({ ...(await original<object>()), ...LIMITS }));

/** So many commits take as long as a sync of 0.3 ms. */
const WORTH = 30;
const LEAST = 16;

/** A log whose first commit, number 11, took so long to sync. */
async function timed(tookMs: number): Promise<LogRig> {
  const rig = new LogRig();
  rig.put(11);
  rig.log.want("synced");
  rig.turn();
  rig.nowMs += tookMs;
  await rig.file.finish();
  rig.heard();
  rig.file.calls.length = 0;
  return rig;
}

/** Commits that somebody waits for, up to `last`, within one turn. */
function putThrough(rig: LogRig, first: number, last: number): void {
  for (let version = first; version <= last; version++) {
    rig.put(version);
    rig.log.want("synced");
  }
}

function syncsOf(rig: LogRig): number {
  return rig.file.calls.filter((call) => call === "sync").length;
}

describe("a group that took as long to gather as a sync takes", () => {
  test("is synced while the turn goes on", async () => {
    const rig = await timed(0.3);
    putThrough(rig, 12, 11 + WORTH - 1);
    expect(rig.file.calls).toEqual([]);
    putThrough(rig, 11 + WORTH, 11 + WORTH);
    expect(rig.heard()).toEqual([`logged ${11 + WORTH}`]);
    expect(syncsOf(rig)).toBe(1);
    // What follows waits for that one to end.
    putThrough(rig, 12 + WORTH, 11 + WORTH + 100);
    rig.turn();
    expect(rig.heard()).toEqual([]);
    expect(rig.file.waiting).toBe(1);
  });

  test("is synced before those are told that waited for the sync before it", async () => {
    const rig = await timed(0.3);
    putThrough(rig, 12, 12);
    rig.turn();
    putThrough(rig, 13, 12 + WORTH);
    const waiting: number[] = [];
    rig.onEvent = (event) => {
      if (!event.startsWith("synced")) return;
      waiting.push(rig.file.waiting);
      // Its continuation goes with the next group.
      if (waiting.length === 1) putThrough(rig, 13 + WORTH, 13 + WORTH);
    };
    rig.nowMs += 0.3;
    await rig.file.finish();
    expect(waiting).toEqual([1]);
    expect(rig.heard()).toEqual(["logged 12", `logged ${12 + WORTH}`, "synced 12"]);
    rig.nowMs += 0.3;
    await rig.file.finish();
    expect(rig.heard()).toEqual([`synced ${12 + WORTH}`, `logged ${13 + WORTH}`]);
    await rig.file.finish();
    expect(rig.heard()).toEqual([`synced ${13 + WORTH}`]);
  });

  test("or less waits for those who were told, and goes with what they write", async () => {
    const rig = await timed(0.3);
    putThrough(rig, 12, 12);
    rig.turn();
    putThrough(rig, 13, 8 + WORTH);
    rig.onEvent = (event) => {
      if (event === "synced 12") putThrough(rig, 9 + WORTH, 11 + WORTH);
    };
    rig.nowMs += 0.3;
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 12", "synced 12", `logged ${11 + WORTH}`]);
    expect(rig.file.waiting).toBe(1);
  });

  test("has some commits, however fast the disk is", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, 11 + LEAST - 1);
    expect(syncsOf(rig)).toBe(0);
    putThrough(rig, 11 + LEAST, 11 + LEAST);
    expect(syncsOf(rig)).toBe(1);
  });

  test("is not known before the first sync has ended", () => {
    const rig = new LogRig();
    putThrough(rig, 11, 500);
    expect(rig.file.calls).toEqual([]);
    rig.turn();
    expect(syncsOf(rig)).toBe(1);
  });

  test("is judged by the shortest syncs: others may have waited for the event loop", async () => {
    const rig = await timed(0.16);
    putThrough(rig, 12, 12);
    rig.turn();
    rig.nowMs += 3.28;
    await rig.file.finish();
    // A sixteenth of the way from 0.16 to 3.28 ms is 0.355 ms.
    putThrough(rig, 13, 47);
    expect(syncsOf(rig)).toBe(1);
    putThrough(rig, 48, 48);
    expect(syncsOf(rig)).toBe(2);
    rig.nowMs += 0.15;
    await rig.file.finish();
    putThrough(rig, 49, 48 + LEAST);
    expect(syncsOf(rig)).toBe(3);
  });

  test("is not synced if nobody waits for that", async () => {
    const rig = await timed(0.1);
    for (let version = 12; version <= 100; version++) {
      rig.put(version);
      rig.log.want("logged");
    }
    expect(rig.file.calls).toEqual([]);
    rig.turn();
    await settled();
    expect(rig.heard()).toEqual(["logged 100"]);
    expect(syncsOf(rig)).toBe(0);
  });
});

describe("a sync that began before the turn was over", () => {
  const LAST = 11 + LEAST;

  test("is final when it fails", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, LAST + 3);
    expect(rig.heard()).toEqual([`logged ${LAST}`]);
    await rig.file.finish(systemError("EIO"));
    expect(rig.heard()).toEqual(["failed"]);
    expect(rig.errors[0]).toMatchObject({ code: "DURABILITY_UNKNOWN" });
    const { length } = rig.file.calls;
    rig.turn();
    await rig.log.close();
    expect(rig.file.calls).toHaveLength(length);
    expect(rig.log.synced).toBe(11);
  });

  test("does not begin when the group was refused, whose traces go first", async () => {
    const rig = await timed(0);
    rig.file.writes.push(systemError("ENOSPC"));
    putThrough(rig, 12, LAST);
    expect(rig.heard()).toEqual(["refused 11"]);
    expect(syncsOf(rig)).toBe(0);
    expect(rig.file.calls.at(-1)).toMatch(/^truncate/);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["refusal durable"]);
  });

  test("lets those be told whose sync ended while the group behind it was refused", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, 12);
    rig.turn();
    putThrough(rig, 13, 12 + LEAST);
    rig.file.writes.push(systemError("ENOSPC"));
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 12", "refused 12", "synced 12"]);
    expect(rig.file.calls.at(-1)).toMatch(/^truncate/);
    expect(rig.file.waiting).toBe(1);
  });

  test("ends before what was refused during it is cut off", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, LAST);
    rig.file.writes.push(systemError("ENOSPC"));
    rig.put(LAST + 1);
    rig.log.want("logged");
    rig.turn();
    expect(rig.heard()).toEqual([`logged ${LAST}`, `refused ${LAST}`]);
    expect(rig.file.calls.at(-1)).toBe("write fails");
    await rig.file.finish();
    expect(rig.heard()).toEqual([`synced ${LAST}`]);
    expect(rig.file.calls.at(-1)).toMatch(/^truncate/);
  });

  test("ends before what was refused between two steps is cut off", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, 12);
    rig.turn();
    putThrough(rig, 13, 12 + LEAST);
    rig.onEvent = (event) => {
      if (event !== "synced 12") return;
      rig.file.writes.push(systemError("ENOSPC"));
      rig.put(13 + LEAST, GROUP_BYTES_MAX);
    };
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 12", `logged ${12 + LEAST}`, "synced 12", `refused ${12 + LEAST}`]);
    expect(rig.file.calls.at(-1)).toBe("write fails");
    await rig.file.finish();
    expect(rig.heard()).toEqual([`synced ${12 + LEAST}`]);
    expect(rig.file.calls.at(-1)).toMatch(/^truncate/);
  });

  test("does not begin while what was refused is being cut off", async () => {
    const rig = await timed(0);
    rig.put(12);
    rig.turn();
    rig.file.writes.push(systemError("ENOSPC"));
    rig.put(13);
    rig.turn();
    expect(rig.heard()).toEqual(["logged 12", "refused 12"]);
    putThrough(rig, 14, 14 + LEAST);
    expect(syncsOf(rig)).toBe(0);
    expect(rig.file.waiting).toBe(1);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["refusal durable", `logged ${14 + LEAST}`]);
    await rig.file.finish();
    expect(rig.heard()).toEqual([`synced ${14 + LEAST}`]);
  });

  test("must end well before those are told that were synced in line meanwhile", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, 12);
    rig.turn();
    putThrough(rig, 13, LAST + 1);
    const last = LAST + 1 + LIMITS.UNSYNCED_COMMITS_MAX;
    rig.onEvent = (event) => {
      if (event !== "synced 12") return;
      for (let version = LAST + 2; version <= last; version++) rig.put(version);
    };
    await rig.file.finish();
    expect(rig.file.calls).toContain("syncNow");
    expect(rig.log.synced).toBe(12);
    await rig.file.finish(systemError("EIO"));
    expect(rig.log.synced).toBe(12);
    expect(rig.heard().at(-1)).toBe("failed");
  });

  test("is waited for by whoever closes the log", async () => {
    const rig = await timed(0);
    putThrough(rig, 12, LAST);
    let closed = false;
    const closing = rig.log.close().then(() => (closed = true));
    await settled();
    expect([closed, rig.file.waiting]).toEqual([false, 1]);
    await rig.file.finish();
    await closing;
    expect(rig.heard()).toEqual([`logged ${LAST}`, `synced ${LAST}`]);
  });

  test("stops the log when what hears of its group throws", async () => {
    const rig = await timed(0);
    rig.onEvent = (event) => {
      if (event === `logged ${LAST}`) throw new Error("a watcher of the committer's own");
    };
    putThrough(rig, 12, LAST - 1);
    rig.put(LAST);
    rig.log.want("synced");
    expect(rig.heard()).toEqual([`logged ${LAST}`, "failed"]);
    expect(rig.log.failure).toMatchObject({ code: "STORE_FAILED" });
  });
});

describe("the sync under way", () => {
  const INVARIANT = expect.objectContaining({ code: "INVARIANT" });

  function syncing(): { file: ManualFile; sync: LogSync; through: (version: number) => Progress } {
    const file = new ManualFile("/log/1");
    const runtime = { clock: { monotonicMs: () => 0 } } as Runtime;
    const live = segment(1, file.handle, { position: FIRST_AT, syncedPosition: 0 });
    const segments = new LogSegments(runtime, [live]);
    const through = (version: number): Progress => {
      live.position += 100;
      return { commits: version, bytes: live.position, end: { segment: 1, position: 0, crc: 0, version } };
    };
    const presence = { isDue: false, look: async () => undefined };
    const sync = new LogSync({ runtime, segments, presence, segmentBytes: 1 << 20 } as LogWriterParts);
    return { file, sync, through };
  }

  test("is one at a time: of two, an error of the disk would be told to one", async () => {
    const { file, sync, through } = syncing();
    sync.begin(through(11));
    expect(() => sync.begin(through(12))).toThrow(INVARIANT);
    expect(file.calls).toEqual(["sync"]);
    // The first one goes on, and reaches what it was begun with.
    const reached = sync.ended();
    await file.finish();
    expect((await reached).end.version).toBe(11);
    // Nor behind the back of who waited for it, and is to say so.
    expect(() => sync.begin(through(13))).toThrow(INVARIANT);
    sync.over();
    sync.begin(through(13));
    expect(file.calls).toEqual(["sync", "sync"]);
  });

  test("is not taken for ended when there is none, nor a second time", async () => {
    const { file, sync, through } = syncing();
    await expect(sync.ended()).rejects.toEqual(INVARIANT);
    sync.begin(through(11));
    const first = sync.ended();
    await file.finish();
    await first;
    sync.over();
    await expect(sync.ended()).rejects.toEqual(INVARIANT);
    expect(() => sync.over()).toThrow(INVARIANT);
  });
});

describe("a look at the files", () => {
  /** A log whose files are to be looked at with the next sync, and what ends such a look. */
  function watched(inlineSync: boolean): {
    rig: LogRig;
    looks: ((lost?: Error) => void)[];
    due: { is: boolean };
  } {
    const looks: ((lost?: Error) => void)[] = [];
    const due = { is: true };
    const presence = {
      get isDue() {
        return due.is;
      },
      look: () => new Promise<FulmarError | undefined>((resolve) => looks.push(resolve as () => void)),
    };
    return { rig: new LogRig({ presence, inlineSync }), looks, due };
  }

  function write(rig: LogRig, version: number): void {
    rig.put(version);
    rig.log.want("synced");
    rig.turn();
  }

  test.each([false, true])(
    "goes on beside the sync, and both are waited for (inline: %s)",
    async (inlineSync) => {
      const { rig, looks } = watched(inlineSync);
      write(rig, 11);
      expect([rig.file.calls.at(-1), looks.length]).toEqual(["sync", 1]);
      await rig.file.finish();
      expect(rig.heard()).toEqual(["logged 11"]);
      looks[0]();
      await settled();
      expect(rig.heard()).toEqual(["synced 11"]);
    },
  );

  test("is not made when none is due", async () => {
    const { rig, looks, due } = watched(false);
    due.is = false;
    write(rig, 11);
    await rig.file.finish();
    expect([rig.heard(), looks.length]).toEqual([["logged 11", "synced 11"], 0]);
  });

  test("leaves a lone commit to an inline sync when none is due", () => {
    const { rig, looks, due } = watched(true);
    due.is = false;
    write(rig, 11);
    expect([rig.file.calls.at(-1), rig.heard(), looks.length]).toEqual([
      "syncNow",
      ["logged 11", "synced 11"],
      0,
    ]);
  });

  test("that misses something fails the log with what it says", async () => {
    const { rig, looks } = watched(false);
    write(rig, 11);
    await rig.file.finish();
    const lost = new FulmarError("DIRECTORY_LOST", "gone");
    looks[0](lost);
    await settled();
    expect([rig.heard(), rig.log.failure, rig.log.synced]).toEqual([["logged 11", "failed"], lost, 10]);
  });
});
