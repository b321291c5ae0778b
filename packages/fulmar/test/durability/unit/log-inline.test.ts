import { describe, expect, test } from "vitest";
import { FIRST_AT, LogRig, OVERHEAD_BYTES, settled, systemError } from "./log-rig.js";

const RECORD_BYTES = OVERHEAD_BYTES + 10;

describe("in line", () => {
  test("a lone commit is synced in the turn that wrote it, when that was asked for", async () => {
    const rig = new LogRig({ inlineSync: true });
    rig.put(11);
    rig.turn();
    expect(rig.file.calls).toEqual([`write ${RECORD_BYTES} at ${FIRST_AT}`]);
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    expect(rig.file.calls.slice(1)).toEqual([
      `write ${RECORD_BYTES} at ${FIRST_AT + RECORD_BYTES}`,
      "syncNow",
    ]);
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "synced 12"]);
    await settled();
    expect(rig.file.waiting).toBe(0);
  });

  test.each([
    ["one that is 64 KiB long", true, [64 * 1024 - OVERHEAD_BYTES], "syncNow"],
    ["one that is longer", true, [64 * 1024 - OVERHEAD_BYTES + 1], "sync"],
    ["two", true, [10, 10], "sync"],
    ["one, when that is switched off", false, [10], "sync"],
  ])("only few commits are synced: %s", (_, inlineSync, lengths, kind) => {
    const rig = new LogRig({ inlineSync });
    for (const [i, length] of lengths.entries()) rig.put(11 + i, length);
    rig.log.want("synced");
    rig.turn();
    expect(rig.file.calls.at(-1)).toBe(kind);
  });

  test.each([
    ["in earlier turns, 64 KiB with it", true, 64 * 1024, "syncNow"],
    ["in earlier turns, more", true, 64 * 1024 + 1, "sync"],
    ["in a piece of its own turn", false, 64 * 1024 + 200, "sync"],
  ])("little is synced with what was written before: %s", (_, turns, bytes, kind) => {
    const rig = new LogRig({ inlineSync: true });
    for (const [i, length] of [40_000, bytes - 40_000 - RECORD_BYTES].entries()) {
      rig.put(11 + i, length - OVERHEAD_BYTES);
      if (turns) rig.turn();
    }
    rig.put(13);
    rig.log.want("synced");
    rig.turn();
    expect(rig.file.calls.filter((call) => call.startsWith("sync"))).toEqual([kind]);
  });

  test("what is synced already does not count: each large commit has a sync of its own", () => {
    const rig = new LogRig({ inlineSync: true });
    for (let version = 11; version < 15; version++) {
      rig.put(version, 40_000);
      rig.log.want("synced");
      rig.turn();
      expect(rig.log.synced).toBe(version);
    }
    expect(rig.file.calls.filter((call) => call.startsWith("sync"))).toEqual(Array(4).fill("syncNow"));
  });

  test("nothing is synced beside a sync that is under way", async () => {
    const rig = new LogRig({ inlineSync: true });
    rig.put(11);
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    rig.put(13);
    rig.log.want("logged");
    rig.log.want("synced");
    rig.turn();
    expect(rig.file.calls.filter((call) => call.startsWith("sync"))).toEqual(["sync"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 12", "logged 13", "synced 12"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
  });

  test("a lone commit that gathered during a sync is synced in line, and so are those behind it", async () => {
    const rig = new LogRig({ inlineSync: true });
    rig.put(11);
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    rig.put(13);
    rig.log.want("synced");
    rig.turn();
    await rig.file.finish();
    expect(rig.file.calls.filter((call) => call.startsWith("sync"))).toEqual(["sync", "syncNow"]);
    expect(rig.heard()).toEqual(["logged 12", "synced 12", "logged 13", "synced 13"]);
    await settled();
    rig.put(14);
    rig.log.want("synced");
    rig.turn();
    expect(rig.heard()).toEqual(["logged 14", "synced 14"]);
    expect([rig.file.calls.at(-1), rig.file.waiting]).toEqual(["syncNow", 0]);
  });

  test("a sync that fails leaves the outcome unknown", () => {
    const rig = new LogRig({ inlineSync: true });
    rig.file.syncNowError = systemError("EIO");
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    expect(rig.heard()).toEqual(["logged 11", "failed"]);
    expect(rig.errors).toMatchObject([{ code: "DURABILITY_UNKNOWN", details: { path: "/log/1" } }]);
    expect(rig.file.calls.filter((call) => call.startsWith("sync"))).toEqual(["syncNow"]);
  });
});
