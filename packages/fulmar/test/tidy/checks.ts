import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import {
  describeFindings,
  existsInProject,
  type Finding,
  readProject,
  type Source,
} from "../../../../scripts/tidy/source.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** Every text file of this project. */
export const project: readonly Source[] = readProject(root);

/** Whether a path of this project exists. */
export const exists = existsInProject(root);

/** A file of this project that must be there. */
export function projectFile(path: string): Source {
  const source = project.find((candidate) => candidate.path === path);
  if (source === undefined) throw new Error(`${path} is missing`);
  return source;
}

/** Fails with one line for each finding. */
export function expectClean(findings: readonly Finding[]): void {
  expect.soft(findings.length, describeFindings(findings)).toBe(0);
}

/** A made-up file of the library. */
export function libraryFile(path: string, ...lines: string[]): Source {
  return { path: `packages/fulmar/src/${path}`, text: `${lines.join("\n")}\n` };
}

/** The messages of findings, to compare with what a bad sample should bring up. */
export function messages(findings: readonly Finding[]): string[] {
  return findings.map(({ message }) => message);
}
