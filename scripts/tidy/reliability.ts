import { posix } from "node:path";
import type { Finding, Source } from "./source.ts";

const ID = "\\bT-[A-Z]+(?:-[A-Z]+)*(?:-\\d\\d)?\\b";
const ANY_ID = new RegExp(ID, "g");
/** A title that begins with ids, `"T-WAL-01, T-REC-04: ...`, or a string that such a title is made of. */
const TITLE = new RegExp(`["'\`]((?:${ID}, )*${ID})(?:: |["'\`])`, "g");
/** A row of the page: `| T-WAL-01 | what went wrong | [a](a.test.ts) [b](b.test.ts) |`. */
const ROW = new RegExp(`^\\| (${ID}) \\| ([^|]+) \\| ([^|]+) \\|$`);
const LINK = /\[[^\]]+\]\(([^)]+)\)/g;

/** Where each id begins a title: paths of the tests in order, by id. */
export function testsOfFaults(sources: readonly Source[]): Map<string, string[]> {
  const tests = new Map<string, string[]>();
  for (const { path, text } of sources.filter(isTest)) {
    const ids = Array.from(text.matchAll(TITLE), ([, list]) => list.split(", ")).flat();
    for (const id of new Set(ids)) tests.set(id, [...(tests.get(id) ?? []), path]);
  }
  return tests;
}

/** Compares the page of faults with the titles of tests: each has the other, and rows name all files of theirs. */
export function checkFaults(page: Source, sources: readonly Source[]): Finding[] {
  const tests = testsOfFaults(sources);
  const findings: Finding[] = [];
  const listed = new Set<string>();
  for (const [index, content] of page.text.split("\n").entries()) {
    const at = { path: page.path, line: index + 1 };
    if (!content.startsWith("| T-")) continue;
    const [, id, , links] = ROW.exec(content) ?? [];
    if (id === undefined) findings.push({ ...at, message: "is no row of id, fault and tests" });
    else if (listed.has(id)) findings.push({ ...at, message: `${id} has a row already` });
    else {
      listed.add(id);
      const named = Array.from(links.matchAll(LINK), ([, to]) => fromRoot(page.path, to));
      const wanted = tests.get(id) ?? [];
      if (named.join() !== wanted.join()) {
        const cells = wanted.map((to) => `[${nameOf(to)}](${posix.relative(posix.dirname(page.path), to)})`);
        const message = wanted.length === 0 ? "no test has it" : `its tests are ${cells.join(" ")}`;
        findings.push({ ...at, message: `${id}: ${message}` });
      }
    }
  }
  for (const [id, [path]] of tests) {
    if (!listed.has(id)) findings.push({ path, message: `${id} has no row in ${page.path}` });
  }
  return [...findings, ...sources.filter(isTest).flatMap(checkIds)];
}

/** Ids elsewhere than at the beginning of a title would look like a test of that fault, and be none. */
function checkIds({ path, text }: Source): Finding[] {
  const titles = text.replaceAll(TITLE, "");
  return Array.from(titles.matchAll(ANY_ID), ([id]) => ({
    path,
    message: `${id} does not begin a title, with a colon behind it`,
  }));
}

function isTest({ path }: Source): boolean {
  return /^(packages\/[\w-]+|simulator|bench)\/test\/.*\.ts$/.test(path) && !path.includes("/test/tidy/");
}

function nameOf(path: string): string {
  return posix.basename(path).replace(/(\.test)?\.ts$/, "");
}

function fromRoot(page: string, link: string): string {
  return posix.normalize(posix.join(posix.dirname(page), link));
}
