import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { freshPath, fulmar } from "./support.js";

const README = new URL("../README.md", import.meta.url);

/** The lines of all shell blocks of a page. */
function commandsOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  return blocks.flatMap((block) => block.split("\n")).filter((line) => line !== "" && !line.startsWith("#"));
}

/** The words of a line as a shell parts them, as far as the page uses it. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
}

it("shows commands that succeed one after another", async () => {
  const root = dirname(await freshPath());
  const place = (word: string): string => (word.startsWith("./") ? join(root, word) : word);
  const commands = commandsOf(readFileSync(README, "utf8"));
  expect(commands.length).toBeGreaterThan(10);
  const printed = new Map<string, string>();
  for (const line of commands) {
    const [program, ...words] = wordsOf(line);
    expect(program, line).toBe("fulmar");
    const redirection = words.findIndex((word) => word === "<" || word === ">");
    const argv = (redirection < 0 ? words : words.slice(0, redirection)).map(place);
    const file = redirection < 0 ? "" : join(root, words[redirection + 1]);
    const input = words[redirection] === "<" ? readFileSync(file) : undefined;
    const { code, out, err } = await fulmar(argv, input === undefined ? {} : { input });
    expect({ line, code, err }).toEqual({ line, code: 0, err: "" });
    if (words[redirection] === ">") writeFileSync(file, out);
    printed.set(line, out);
  }
  expect(printed.get("fulmar get ./data user:1")).toBe('{"name":"Ada"}\n');
  expect(printed.get("fulmar namespaces ./data")).toBe("accounts\n");
  expect(printed.get("fulmar repair ./data --dry-run")).toMatch(/nothing to repair/);
});
