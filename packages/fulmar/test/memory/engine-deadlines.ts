import { expect } from "vitest";
import { LATEST, type MemoryEngine, NONE } from "../../src/memory/engine.js";
import { deadlineOf } from "../../src/record/entry.js";
import { expectSame, shown } from "./fixtures.js";
import { type EngineModel, shownEntry } from "./model.js";

/** The order by deadline, from any moment and through any. */
export function checkDeadlines(engine: MemoryEngine, model: EngineModel): void {
  const deadlines = model.deadlines();
  expect(engine.nextDeadline()).toBe(deadlines[0]?.deadline ?? Number.POSITIVE_INFINITY);
  for (const through of [4, 5, 10, LATEST]) {
    const cursor = engine.byDeadline(through);
    const found: number[] = [];
    const records: string[] = [];
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      found.push(deadlineOf(engine.slab(ref), engine.offset(ref)));
      records.push(shown(engine, ref));
    }
    const due = deadlines.filter(({ deadline }) => deadline <= through);
    expectSame(
      found,
      due.map(({ deadline }) => deadline),
    );
    expectSame(records.sort(), due.map((item) => shownEntry(item.entry)).sort());
    for (const from of [0, 4, 6, 2 ** 33]) {
      const later = engine.byDeadline(through, from);
      const rest: number[] = [];
      for (let ref = later.next(); ref !== NONE; ref = later.next()) {
        rest.push(deadlineOf(engine.slab(ref), engine.offset(ref)));
      }
      expectSame(
        rest,
        found.filter((deadline) => deadline >= from),
      );
    }
  }
}
