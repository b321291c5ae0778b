import { describe, expect, test } from "vitest";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import type { FileSeal } from "../../../src/durability/file-seal.js";
import { endOf, type LogSegment, LogSegments, liveSegment } from "../../../src/durability/log-segments.js";
import { SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { ManualFile, segment, settled, systemError } from "./log-rig.js";

const events: { event: string; details: object }[] = [];
const runtime = {
  diagnostics: {
    emit: (event: string, details: () => object) => events.push({ event, details: details() }),
  },
} as unknown as Runtime;

interface Rig {
  readonly files: ManualFile[];
  readonly list: LogSegment[];
  readonly segments: LogSegments;
}

/** Segments 1, 2, ... that each begin behind version 10 times their number, written and synced so far. */
function rig(...ends: readonly (readonly [position: number, syncedPosition: number])[]): Rig {
  const files = ends.map((_, i) => new ManualFile(`/log/${i + 1}`));
  const list = ends.map(([position, syncedPosition], i) =>
    segment(i + 1, files[i].handle, { base: 10 * (i + 1), position, syncedPosition }),
  );
  return { files, list, segments: new LogSegments(runtime, list) };
}

describe("the live segments", () => {
  test("are appended to at their end", () => {
    const { segments, list } = rig([500, 500], [300, 200]);
    expect(segments.current).toBe(list[1]);
    expect([segments.count, segments.bytes]).toEqual([2, 800]);
    const handle = new ManualFile("/log/3").handle;
    const prepared = { number: 3, path: "/log/3", salt: new Uint8Array(8), handle, capacity: 4096 };
    segments.push(liveSegment(prepared, 31));
    expect(segments.current).toEqual({
      ...prepared,
      base: 31,
      position: SEGMENT_HEADER_BYTES,
      syncedPosition: SEGMENT_HEADER_BYTES,
    });
    expect([segments.count, segments.bytes]).toEqual([3, 800 + SEGMENT_HEADER_BYTES]);
    // Only those that hold records can be read.
    expect(segments.past.map(({ number, end }) => [number, end])).toEqual([
      [1, 500],
      [2, 300],
    ]);
    expect(list).toHaveLength(2);
  });

  test("tell the keys that they are encrypted under, and which are plain", () => {
    const seal = { keyId: "one" } as FileSeal;
    const list = [segment(1, undefined), segment(2, undefined, { seal }), segment(3, undefined)];
    expect(new LogSegments(runtime, list).keyIds).toEqual([undefined, "one", undefined]);
  });

  test("end where the manifest says", () => {
    const { list } = rig([500, 400]);
    expect(endOf(list[0], 99, 17)).toEqual({ segment: 1, position: 500, crc: 99, version: 17 });
  });
});

describe("a sync", () => {
  test("goes from the oldest segment to the newest, and leaves out what needs none", async () => {
    const { segments, files, list } = rig([500, 400], [300, 300], [200, 68]);
    const done = segments.sync();
    expect(files.map(({ waiting }) => waiting)).toEqual([1, 0, 0]);
    expect(files.map(({ closes }) => closes)).toEqual([0, 0, 0]);
    await files[0].finish();
    expect(list[0].syncedPosition).toBe(500);
    expect(files.map(({ waiting }) => waiting)).toEqual([0, 0, 1]);
    await files[2].finish();
    await done;
    expect(list.map(({ syncedPosition }) => syncedPosition)).toEqual([500, 300, 200]);
    // What is not written any more is closed, once.
    expect(files.map(({ closes }) => closes)).toEqual([1, 1, 0]);
    expect(list.map(({ handle }) => handle === undefined)).toEqual([true, true, false]);
    await segments.sync();
    expect(files.map(({ calls }) => calls)).toEqual([["sync"], [], ["sync"]]);
    expect(files.map(({ closes }) => closes)).toEqual([1, 1, 0]);
  });

  test("covers what was written when it began", async () => {
    const { segments, files, list } = rig([300, 200]);
    const done = segments.sync();
    list[0].position = 400;
    await files[0].finish();
    await done;
    expect(list[0].syncedPosition).toBe(300);
  });

  test("closes no segment that got more before the next one began", async () => {
    const { segments, files, list } = rig([300, 200]);
    const done = segments.sync();
    list[0].position = 400;
    const next = new ManualFile("/log/2");
    segments.push(segment(2, next.handle));
    await files[0].finish();
    await done;
    expect(files[0].closes).toBe(0);
    const again = segments.sync();
    await files[0].finish();
    await again;
    expect(files[0].closes).toBe(1);
  });

  test("covers nothing of what was cut off meanwhile", async () => {
    const { segments, files, list } = rig([300, 200]);
    const done = segments.sync();
    list[0].position = 250;
    await files[0].finish();
    await done;
    expect(list[0].syncedPosition).toBe(250);
  });

  test("that fails ends there, and closes nothing", async () => {
    const { segments, files, list } = rig([500, 400], [300, 200]);
    const refused = expect(segments.sync()).rejects.toMatchObject({ code: "EIO" });
    await files[0].finish(systemError("EIO"));
    await refused;
    expect(list.map(({ syncedPosition }) => syncedPosition)).toEqual([400, 200]);
    expect(files.map(({ calls }) => calls)).toEqual([["sync"], []]);
    // And the next one closes what it covers.
    const again = segments.sync();
    await files[0].finish();
    await files[1].finish();
    await again;
    expect(files.map(({ closes }) => closes)).toEqual([1, 0]);
  });

  test("in line does the same, and leaves closing to the one that is under way", async () => {
    const { segments, files, list } = rig([500, 400], [300, 200]);
    const done = segments.sync();
    segments.syncNow();
    expect(files.map(({ calls }) => calls)).toEqual([["sync", "syncNow"], ["syncNow"]]);
    expect(list.map(({ syncedPosition }) => syncedPosition)).toEqual([500, 300]);
    expect(files[0].closes).toBe(0);
    await files[0].finish();
    await done;
    // The second segment needs no other sync.
    expect(files.map(({ calls }) => calls)).toEqual([["sync", "syncNow"], ["syncNow"]]);
    expect(files.map(({ closes }) => closes)).toEqual([1, 0]);
  });

  test("in line closes old segments when no other is under way", () => {
    const { segments, files } = rig([500, 400], [300, 200]);
    segments.syncNow();
    expect(files.map(({ closes }) => closes)).toEqual([1, 0]);
    segments.syncNow();
    expect(files.map(({ calls }) => calls)).toEqual([["syncNow"], ["syncNow"]]);
  });

  test("in line takes nothing back that a longer one has covered", async () => {
    const { segments, files, list } = rig([300, 200]);
    const done = segments.sync();
    list[0].position = 400;
    segments.syncNow();
    await files[0].finish();
    await done;
    expect(list[0].syncedPosition).toBe(400);
  });
});

describe("the first segment that a recovery needs", () => {
  test("is the newest that begins at or before the checkpoint, durably", () => {
    const { segments, list } = rig([500, 500], [300, 300], [200, SEGMENT_HEADER_BYTES]);
    expect([5, 19, 20, 29].map((version) => segments.firstFor(version))).toEqual([1, 1, 2, 2]);
    expect(segments.firstFor(30)).toBe(2);
    list[2].syncedPosition++;
    expect([29, 30, 99].map((version) => segments.firstFor(version))).toEqual([2, 3, 3]);
  });

  test("lets go of those before it, but never of the last", async () => {
    const { segments, files, list } = rig([500, 500], [300, 300], [200, 200]);
    expect(segments.dropBefore(1)).toEqual([]);
    expect(segments.dropBefore(2)).toEqual([list[0]]);
    expect(segments.count).toBe(2);
    expect(files.map(({ closes }) => closes)).toEqual([1, 0, 0]);
    expect(segments.dropBefore(9)).toEqual([list[1]]);
    expect(segments.current).toBe(list[2]);
    expect(files.map(({ closes }) => closes)).toEqual([1, 1, 0]);
  });

  test("is not kept by a segment that cannot be closed, which is told to whoever listens", async () => {
    const { segments, list } = rig([500, 500], [300, 300]);
    const error = systemError("EIO");
    list[0].handle = { close: () => Promise.reject(error) } as unknown as LogSegment["handle"];
    expect(segments.dropBefore(2)).toHaveLength(1);
    await settled();
    expect(events).toEqual([{ event: "close-failed", details: { path: "/log/1", error } }]);
  });
});

describe("closing", () => {
  test("closes every file that is open, once, and tells of an error", async () => {
    const { segments, files, list } = rig([500, 500], [300, 300]);
    list[0].handle = undefined;
    await segments.close();
    await segments.close();
    expect(files.map(({ closes }) => closes)).toEqual([0, 1]);
    list[1].handle = { close: () => Promise.reject(systemError("EIO")) } as unknown as LogSegment["handle"];
    await expect(segments.close()).rejects.toMatchObject({ code: "IO_ERROR", details: { path: "/log/2" } });
    expect(list[1].handle).toBeUndefined();
  });
});
