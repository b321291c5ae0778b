import { describe, expect, test, vi } from "vitest";
import { ZeroFill } from "../../../src/durability/zero-fill.js";
import { LogRig, ManualFile, OVERHEAD_BYTES, segment, systemError } from "./log-rig.js";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A file with a group behind `syncedPosition` that is about to be synced. */
function filling(fields: { syncedPosition: number; position: number; capacity: number }) {
  const file = new ManualFile("/log/1");
  return { file, current: segment(1, file.handle, fields) };
}

describe("zeros ahead of the log", () => {
  test("are written before a sync when the next group would not fit, 256 KiB at least, up to a page's end", () => {
    const { file, current } = filling({ syncedPosition: 128, position: 328, capacity: 328 });
    new ZeroFill(16 * MIB).ahead(current);
    const end = 256 * KIB + 4 * KIB;
    expect(file.calls).toEqual([`write ${256 * KIB} at 328`, `write ${4 * KIB - 328} at ${256 * KIB + 328}`]);
    expect(current.capacity).toBe(end);
    expect(file.bytes.length).toBe(end);
    expect(file.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test("are done without while there is no memory for them", () => {
    const { file, current } = filling({ syncedPosition: 128, position: 328, capacity: 328 });
    const fill = new ZeroFill(16 * MIB);
    const construct = (): never => {
      throw new RangeError("Array buffer allocation failed");
    };
    vi.stubGlobal("Uint8Array", new Proxy(Uint8Array, { construct }));
    try {
      fill.ahead(current);
    } finally {
      vi.unstubAllGlobals();
    }
    expect([file.calls, current.capacity]).toEqual([[], 328]);
    current.position = 300 * KIB;
    fill.ahead(current);
    expect(current.capacity).toBeGreaterThan(300 * KIB);
  });

  test("are not written while one more group like this one fits", () => {
    const fill = new ZeroFill(16 * MIB);
    const enough = filling({ syncedPosition: 128, position: 328, capacity: 528 });
    fill.ahead(enough.current);
    expect(enough.file.calls).toEqual([]);
    const short = filling({ syncedPosition: 128, position: 328, capacity: 527 });
    fill.ahead(short.current);
    expect(short.file.calls[0]).toMatch(/ at 527$/);
  });

  test("begin behind a group that grew the file, and never touch what was appended", () => {
    const { file, current } = filling({ syncedPosition: 128, position: 5000, capacity: 4096 });
    new ZeroFill(16 * MIB).ahead(current);
    expect(file.calls[0]).toMatch(/ at 5000$/);
    expect(current.capacity).toBe(5000 - (5000 % 4096) + 4096 + 256 * KIB);
  });

  test("are more for larger groups, and 1 MiB at most", () => {
    const group = 32 * KIB;
    const middle = filling({ syncedPosition: 0, position: group, capacity: group });
    new ZeroFill(16 * MIB).ahead(middle.current);
    expect(middle.current.capacity).toBe(17 * group);
    const large = filling({ syncedPosition: 0, position: 2 * MIB, capacity: 2 * MIB });
    new ZeroFill(16 * MIB).ahead(large.current);
    expect(large.current.capacity).toBe(3 * MIB);
  });

  test("end where the segment does", () => {
    const { file, current } = filling({ syncedPosition: 128, position: 328, capacity: 328 });
    new ZeroFill(1000).ahead(current);
    expect([file.calls, current.capacity]).toEqual([["write 672 at 328"], 1000]);
    current.position = 900;
    new ZeroFill(1000).ahead(current);
    current.position = 1200;
    new ZeroFill(1000).ahead(current);
    expect([file.calls.length, current.capacity]).toEqual([1, 1000]);
  });

  test("are not needed when nothing is to be synced", () => {
    const { file, current } = filling({ syncedPosition: 328, position: 328, capacity: 328 });
    new ZeroFill(16 * MIB).ahead(current);
    expect(file.calls).toEqual([]);
  });

  test("that the disk takes in part count in part; what it refuses is tried again much later", () => {
    const { file, current } = filling({ syncedPosition: 128, position: 328, capacity: 328 });
    const fill = new ZeroFill(16 * MIB);
    file.writes.push(100, systemError("ENOSPC"));
    fill.ahead(current);
    expect([file.calls, current.capacity]).toEqual([["write 100 at 328", "write fails"], 428]);
    file.calls.length = 0;
    current.position = 328 + 256 * KIB - 1;
    fill.ahead(current);
    expect(file.calls).toEqual([]);
    current.position++;
    fill.ahead(current);
    expect(file.calls.length).toBeGreaterThan(0);
    // Another segment may lie where there is room.
    const other = filling({ syncedPosition: 128, position: 328, capacity: 328 });
    file.writes.push(systemError("ENOSPC"));
    fill.ahead(segment(1, file.handle, { syncedPosition: 128, position: MIB, capacity: MIB }));
    fill.ahead({ ...other.current, number: 2 });
    expect(other.file.calls.length).toBeGreaterThan(0);
  });

  test("that nothing was written of are given up for now", () => {
    const { file, current } = filling({ syncedPosition: 128, position: 328, capacity: 328 });
    file.writes.push(0);
    new ZeroFill(16 * MIB).ahead(current);
    expect([file.calls, current.capacity]).toEqual([["write 0 at 328"], 328]);
  });
});

describe("a log", () => {
  const RECORD_BYTES = OVERHEAD_BYTES + 10;

  test("takes zeros along with a sync, and none for writes that nobody syncs", async () => {
    const rig = new LogRig({ capacity: 128, segmentBytes: MIB });
    rig.put(11);
    rig.turn();
    expect(rig.file.calls).toEqual([`write ${RECORD_BYTES} at 128`]);
    rig.log.want("synced");
    rig.turn();
    expect(rig.file.calls.slice(1)).toEqual([
      `write ${256 * KIB} at ${128 + RECORD_BYTES}`,
      `write ${4 * KIB - 128 - RECORD_BYTES} at ${128 + RECORD_BYTES + 256 * KIB}`,
      "sync",
    ]);
    await rig.file.finish();
    await rig.save(12);
    expect(rig.records(rig.file, 128).map(({ version }) => version)).toEqual([11, 12]);
  });

  test("does so in line as well", () => {
    const rig = new LogRig({ capacity: 128, segmentBytes: 1000, inlineSync: true });
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    const end = 128 + RECORD_BYTES;
    expect(rig.file.calls).toEqual([
      `write ${RECORD_BYTES} at 128`,
      `write ${1000 - end} at ${end}`,
      "syncNow",
    ]);
    expect(rig.log.synced).toBe(11);
  });

  test("is none the worse when the zeros find no room", async () => {
    const rig = new LogRig({ capacity: 128, segmentBytes: MIB });
    rig.file.writes.push(RECORD_BYTES, systemError("ENOSPC"));
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 11", "synced 11"]);
    await rig.save(12);
  });
});
