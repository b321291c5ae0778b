import { expect, test } from "vitest";
import type { FileHandle, FileStatus, FileSystem } from "../../../src/base/runtime/interface.js";
import { type Layout, layoutOf, segmentName } from "../../../src/durability/layout.js";
import { LogSegments, liveSegment } from "../../../src/durability/log-segments.js";
import type { ManifestFile } from "../../../src/durability/manifest.js";
import { Presence } from "../../../src/durability/presence.js";
import { simulatedStorage } from "../../../src/testing/index.js";
import { segment } from "./log-rig.js";

const { runtime } = simulatedStorage();
const LAYOUT: Layout = layoutOf(runtime.fileSystem, "/data");

/** A file that holds bytes of one value, and notes which of them are read. */
function file(
  number: number,
  content: number,
  reads: string[] = [],
): { handle: FileHandle; status: FileStatus } {
  const status = { kind: "file", sizeBytes: 9000, identity: String(number), device: "disk" } as const;
  const handle = {
    status: async () => status,
    read: async (target: Uint8Array, position: number) => {
      reads.push(`${position}+${target.length}`);
      return target.fill(content).length;
    },
    close: async () => undefined,
  } as unknown as FileHandle;
  return { handle, status };
}

/** What an open store has open, and what has its names; both are as they should be until a test changes them. */
function directory() {
  const files = { manifest: file(1, 1), older: file(2, 2), current: file(3, 3), checkpoint: file(4, 4) };
  const names = new Map([
    [LAYOUT.manifest, files.manifest],
    ["/data/log/000000000001.log", files.older],
    ["/data/log/000000000002.log", files.current],
    ["/data/checkpoint/000000000001", files.checkpoint],
  ]);
  /** Called when somebody looks at a name. */
  const during: { look: (path: string) => void } = { look: () => undefined };
  const now = { ms: 5000, lockStands: true };
  /** What the manifest was changed to. */
  const notes: unknown[] = [];
  const update = async (change: (now: object) => unknown): Promise<void> => {
    notes.push(change({ generation: 7 }));
  };
  const fileSystem = {
    join: (parent: string, name: string) => `${parent}/${name}`,
    status: async (path: string) => {
      during.look(path);
      return names.get(path)?.status;
    },
    list: async () => [1, 2].map(segmentName).filter((name) => names.has(`/data/log/${name}`)),
    open: async (path: string) => names.get(path)?.handle,
  } as unknown as FileSystem;
  const path = (number: number): string => `/data/log/${segmentName(number)}`;
  const segments = new LogSegments(runtime, [
    { ...segment(1, undefined), path: path(1) },
    { ...segment(2, files.current.handle), path: path(2) },
  ]);
  const state = { checkpoint: { number: 1 } };
  const manifest = {
    manifest: state,
    undisturbed: (work: (handle: FileHandle) => Promise<unknown>) => work(files.manifest.handle),
    update,
  } as unknown as ManifestFile;
  const lock = { stands: async () => now.lockStands, release: async () => undefined };
  const end = { segment: 2, position: 200, crc: 0, version: 1 };
  const seam = { clock: { wallMs: () => 0, monotonicMs: () => now.ms }, fileSystem };
  const parts = { runtime: seam, layout: LAYOUT, lock, manifest, segments, syncedEnd: () => end };
  return { names, during, segments, state, now, notes, end, manifest, presence: new Presence(parts) };
}

/** What is missed: the path, or nothing. */
async function missed({ presence }: ReturnType<typeof directory>): Promise<unknown> {
  return (await presence.look())?.details.path;
}

const PATHS = [...directory().names.keys()];

test("nothing is missed where everything has its name", async () => {
  expect(await missed(directory())).toBeUndefined();
});

test.each(PATHS)("%s is missed without its name", async (path) => {
  const place = directory();
  place.names.delete(path);
  expect(await missed(place)).toBe(path);
});

test.each([
  [LAYOUT.manifest, 1],
  ["/data/log/000000000002.log", 3],
])(
  "%s is missed when a file of another number, or of another device, and of other bytes has its name",
  async (path, content) => {
    const place = directory();
    const { handle, status } = place.names.get(path) ?? file(0, 0);
    place.names.set(path, { handle, status: { ...status, identity: "9" } });
    expect(await missed(place)).toBeUndefined();
    place.names.set(path, { handle, status: { ...status, device: "another" } });
    expect(await missed(place)).toBeUndefined();
    const { handle: other } = file(9, content + 1);
    place.names.set(path, { handle: other, status: { ...status, identity: "9" } });
    expect(await missed(place)).toBe(path);
    place.names.set(path, { handle: other, status: { ...status, device: "another" } });
    expect(await missed(place)).toBe(path);
    place.names.set(path, { handle, status: { ...status, identity: "9", kind: "directory" } });
    expect(await missed(place)).toBe(path);
  },
);

test("a look is due a second after the last one, and in another segment", async () => {
  const { presence, now, segments } = directory();
  expect(presence.isDue).toBe(false);
  now.ms += 999;
  expect(presence.isDue).toBe(false);
  now.ms += 1;
  expect(presence.isDue).toBe(true);
  await presence.look();
  expect(presence.isDue).toBe(false);
  segments.push(liveSegment({ ...segment(3, undefined), handle: file(5, 5).handle }, 1));
  expect(presence.isDue).toBe(true);
  await presence.look();
  expect(presence.isDue).toBe(false);
});

test("where the log reached is noted for the next open, unless there will be none here", async () => {
  const log = directory();
  log.names.delete("/data/log/000000000002.log");
  await log.presence.look();
  expect(log.notes).toEqual([{ generation: 7, synced: log.end }]);

  const moved = directory();
  moved.names.clear();
  expect(await missed(moved)).toBe(LAYOUT.manifest);
  const another = directory();
  another.now.lockStands = false;
  expect(await missed(another)).toBe(LAYOUT.root);
  expect(String(await another.presence.look())).toContain("its lock is gone");
  const nowhere = directory();
  nowhere.now.lockStands = false;
  nowhere.names.clear();
  expect(await missed(nowhere)).toBe(LAYOUT.root);
  expect([...moved.notes, ...another.notes, ...nowhere.notes]).toEqual([]);

  const full = directory();
  full.names.delete("/data/log/000000000001.log");
  full.manifest.update = () => Promise.reject(new Error("the disk is full"));
  expect(await missed(full)).toBe("/data/log/000000000001.log");
});

test.each([
  ["ENOTDIR", "/data/log/000000000002.log"],
  ["EACCES", undefined],
])("what fails with %s is gone, or taken to be there", async (code, path) => {
  const place = directory();
  place.during.look = (path) => {
    if (path.endsWith("2.log")) throw Object.assign(new Error(code), { code });
  };
  expect(await missed(place)).toBe(path);
});

test("a store without a checkpoint misses none, nor one that has another by then", async () => {
  const place = directory();
  place.names.delete("/data/checkpoint/000000000001");
  place.state.checkpoint.number = 0;
  expect(await missed(place)).toBeUndefined();
  place.state.checkpoint.number = 1;
  place.during.look = (path) => {
    if (path.includes("checkpoint")) place.state.checkpoint.number = 2;
  };
  expect(await missed(place)).toBeUndefined();
});

test("of the very same file nothing is read, of another one the end that is on stable storage", async () => {
  const place = directory();
  const path = "/data/log/000000000002.log";
  const reads: string[] = [];
  const { handle, status } = file(3, 9, reads);
  place.names.set(path, { handle, status });
  expect([await missed(place), reads]).toEqual([undefined, []]);
  for (const [syncedPosition, read] of [
    [200, "0+200"],
    [9000, "4904+4096"],
  ] as const) {
    place.segments.current.syncedPosition = syncedPosition;
    place.names.set(path, { handle, status: { ...status, identity: "9" } });
    expect([await missed(place), reads.splice(0)]).toEqual([path, [read]]);
  }
});

test("a segment that a checkpoint lets go of meanwhile is not missed", async () => {
  const place = directory();
  place.names.delete("/data/log/000000000001.log");
  place.during.look = (path) => {
    if (path.endsWith("1.log")) place.segments.dropBefore(2);
  };
  expect(await missed(place)).toBeUndefined();
});

test("nor is one that was the live one when the look began", async () => {
  const place = directory();
  place.names.delete("/data/log/000000000002.log");
  place.during.look = (path) => {
    if (!path.endsWith("2.log") || place.segments.current.number !== 2) return;
    const next = { ...segment(3, undefined), path: "/data/log/000000000003.log", handle: file(5, 5).handle };
    place.segments.push(liveSegment(next, 1));
    place.segments.dropBefore(3);
  };
  expect(await missed(place)).toBeUndefined();
});

test("nor is a checkpoint that is replaced by another one meanwhile", async () => {
  const place = directory();
  place.names.delete("/data/checkpoint/000000000001");
  place.during.look = (path) => {
    if (path.startsWith("/data/checkpoint/")) place.state.checkpoint = { number: 2 };
  };
  expect(await missed(place)).toBeUndefined();
});
