import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Contender, compileContender, whyNoContainer } from "./lock-support.js";

const WHY_NOT = whyNoContainer();

let compiled: string;
let script: string;
let root: string;
let directory: string;
const contenders: Contender[] = [];

beforeAll(() => {
  compiled = mkdtempSync(join(tmpdir(), "fulmar-lock-js-"));
  script = compileContender(compiled);
});
afterAll(() => rmSync(compiled, { recursive: true, force: true }));
beforeEach((context) => {
  context.skip(WHY_NOT !== undefined, WHY_NOT);
  root = mkdtempSync(join(tmpdir(), "fulmar-lock-"));
  directory = join(root, "data");
  mkdirSync(directory);
});
afterEach(async () => {
  await Promise.all(contenders.splice(0).map((contender) => contender.kill()));
  if (root !== undefined) rmSync(root, { recursive: true, force: true });
});

/** A process that is number 1 among its own. */
function contained(): Contender {
  const contender = new Contender(script, { container: true });
  contenders.push(contender);
  return contender;
}

test("of two processes with one number, in two containers, one holds a directory, until it lets go", async () => {
  const [first, second] = [contained(), contained()];
  expect(await first.order(`take ${directory}`)).toBe("held");
  expect(await second.order(`take ${directory}`)).toBe("refused LOCKED 1");
  expect(await second.order(`look ${directory}`)).toBe("refused LOCKED 1");
  expect(await first.order("release")).toBe("released");
  expect(await second.order(`take ${directory}`)).toBe("held");
  expect(await first.order(`take ${directory}`)).toBe("refused LOCKED 1");
});

test("what one left that was killed is no obstacle to the next, which has its number", async () => {
  for (let round = 0; round < 3; round++) {
    const holder = contained();
    expect(await holder.order(`take ${directory}`)).toBe("held");
    await holder.kill();
    expect(readdirSync(directory)).toHaveLength(1);
  }
  const last = contained();
  expect(await last.order(`take ${directory}`)).toBe("held");
  expect(await last.order("release")).toBe("released");
  expect(readdirSync(directory)).toEqual([]);
});

test("many of them race for one lock: never two holders, and nothing is left", async () => {
  const marker = join(root, "marker");
  const racers = Array.from({ length: 4 }, contained);
  const reports = await Promise.all(racers.map((racer) => racer.order(`race ${directory} ${marker} 40`)));
  expect(reports.filter((report) => !report.startsWith("won "))).toEqual([]);
  expect(reports.map((report) => Number(report.slice(4))).reduce((sum, n) => sum + n)).toBeGreaterThan(0);
  expect(readdirSync(directory)).toEqual([]);
});
