import { describe, expect, it } from "vitest";
import { checkGlobals, GLOBAL_EXCEPTIONS } from "../../../../scripts/tidy/globals.ts";
import { checkLayers, checkRooms, LAYERS } from "../../../../scripts/tidy/layers.ts";
import { expectClean, libraryFile, messages, project } from "./checks.js";

describe("layers of the library", () => {
  it("import only themselves and what stands below them", () => {
    expectClean(checkLayers(project));
    expectClean(checkRooms(project));
  });

  it("are checked for values, types, re-exports and import()", () => {
    const upward = [
      'import { Store } from "../store/store.js";',
      'import type { Store } from "../store/store.js";',
      'export { Store } from "../store/store.js";',
      'export const load = () => import("../store/store.js");',
      'export type Store = import("../store/store.js").Store;',
    ];
    for (const line of upward) {
      const found = messages(checkLayers([libraryFile("memory/engine.ts", line)]));
      expect(found, line).toEqual([`memory imports store, which stands above it (${LAYERS.join(" < ")})`]);
    }
  });

  it("may import what stands below, from folders at any depth", () => {
    const file = libraryFile(
      "sync/transport/tcp.ts",
      'import { assert } from "../../base/assert.js";',
      'import type { Session } from "../session.js";',
    );
    expect(checkLayers([file])).toEqual([]);
  });

  it("may not import the package's index, other packages or dependencies", () => {
    const file = libraryFile(
      "sync/session.ts",
      'import { open } from "../index.js";',
      'import { run } from "../../../cli/src/run.js";',
      'import { map } from "lodash";',
    );
    expect(checkLayers([file])).toHaveLength(3);
  });

  it("leave node: to the Node runtime", () => {
    const line = 'import { readFileSync } from "node:fs";';
    expect(checkLayers([libraryFile("durability/segment.ts", line)])).toHaveLength(1);
    expect(checkLayers([libraryFile("base/runtime/node/file-system.ts", line)])).toEqual([]);
  });

  it("have no room outside the order", () => {
    expect(checkRooms([libraryFile("helpers/misc.ts", "export {};")])).toHaveLength(1);
  });
});

describe("globals", () => {
  it("are reached through Runtime only", () => {
    expectClean(checkGlobals(project));
  });

  it("are found wherever they are used", () => {
    const uses = [
      "const now = Date.now();",
      "const at: Date | undefined = undefined;",
      "const draw = Math.random();",
      "setTimeout(() => {}, 1);",
      "const bytes = Buffer.from([1]);",
      "process.nextTick(() => {});",
      "globalThis.crypto.randomUUID();",
      "const tools = { console };",
      "const gone = new FinalizationRegistry(() => {});",
    ];
    for (const line of uses)
      expect(checkGlobals([libraryFile("store/store.ts", line)]), line).not.toEqual([]);
  });

  it("are not confused with members or local names", () => {
    const file = libraryFile(
      "store/store.ts",
      "export function wait(timers: { setTimeout(): void }, process: () => void): void {",
      "  timers.setTimeout();",
      "  process();",
      "}",
    );
    expect(checkGlobals([file])).toEqual([]);
  });

  it("are free in the Node runtime and where a reason is given", () => {
    expect(checkGlobals([libraryFile("base/runtime/node/clock.ts", "Date.now();")])).toEqual([]);
    for (const { path, names, reason } of GLOBAL_EXCEPTIONS) {
      expect(reason.length).toBeGreaterThan(20);
      expect(checkGlobals([{ path, text: names.map((name) => `${name}();\n`).join("") }])).toEqual([]);
      expect(checkGlobals([{ path, text: "Date.now();\n" }])).toHaveLength(1);
    }
  });
});
