import { expect, test } from "vitest";
import { isLibrary } from "../../../../scripts/tidy/source.ts";
import { project, projectFile } from "./checks.js";

/** Each row of the page that begins with a name in code. */
const ROW = /^\| `([^`]+)` \|/gm;
const EMITTED = /diagnostics\.emit\((["`])([^"`]+)\1/g;
/** What a replicator tells, whose names are made of these. */
const TOLD = "sync:$" + "{event}";

/** The names that the library publishes under, as the library says them: what hands them on puts `fulmar:` before. */
function emitted(): string[] {
  const texts = project.filter(({ path }) => isLibrary(path)).map(({ text }) => text);
  const names = texts.flatMap((text) => Array.from(text.matchAll(EMITTED), ([, , name]) => name));
  expect(names).toContain(TOLD);
  return names.flatMap((name) => (name === TOLD ? told().map((event) => `sync:${event}`) : [name]));
}

function told(): string[] {
  const { text } = projectFile("packages/fulmar/src/sync/events.ts");
  const [, members] = text.split("export interface ReplicatorEvents {\n");
  return Array.from(members.split("\n}\n")[0].matchAll(/^ {2}(\w+): \{/gm), ([, name]) => name);
}

test("the page of diagnostics lists the channels that the library publishes on, no more and no less", () => {
  const names = [...new Set(emitted())].map((name) => `fulmar:${name}`);
  const { text } = projectFile("docs/diagnostics.md");
  const listed = Array.from(text.matchAll(ROW), ([, name]) => name);
  expect(listed.sort()).toEqual(names.sort());
  expect(told()).toEqual(["peer", "merge", "refused", "violation", "error"]);
  for (const name of names) expect(name).toMatch(/^fulmar:(?!fulmar)/);
});
