import { afterEach, expect, test, vi } from "vitest";
import { numberList, oneOf, positiveInteger, runProgram, workloadNames } from "../src/settings.js";

const USAGE = "usage: npm run it";

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** What a program with these words behind it prints, and how it ends. */
async function run(words: readonly string[], main: () => void): Promise<Record<string, unknown>> {
  const { argv } = process;
  const out = vi.spyOn(console, "log").mockImplementation(() => {});
  const err = vi.spyOn(console, "error").mockImplementation(() => {});
  process.argv = [...argv.slice(0, 2), ...words];
  try {
    await runProgram(USAGE, main);
  } finally {
    process.argv = argv;
  }
  const { exitCode } = process;
  process.exitCode = undefined;
  const seen = { out: out.mock.calls.flat(), err: err.mock.calls.flat(), exitCode };
  vi.restoreAllMocks();
  return seen;
}

test.each(["--help", "-h"])("%s shows how it is called, and runs nothing", async (word) => {
  const main = vi.fn();
  const end = await run(["--runs", "3", word], main);
  expect([end, main.mock.calls]).toEqual([{ out: [USAGE], err: [], exitCode: undefined }, []]);
});

test("a wrong command line says what is wrong and how it is called, and no more", async () => {
  const all = ["get", "set"];
  const refused: [() => void, string][] = [
    [() => positiveInteger("x", "runs"), 'runs is a whole number above zero, not "x"'],
    [() => numberList("1,0", "keys"), 'keys is a whole number above zero, not "0"'],
    [() => oneOf("put", all), "put is none of get, set"],
    [() => workloadNames("get,put", all), "no put; there are get, set"],
    [
      () => {
        throw Object.assign(new TypeError("Unknown option"), { code: "ERR_PARSE_ARGS_UNKNOWN_OPTION" });
      },
      "Unknown option",
    ],
  ];
  for (const [main, message] of refused) {
    expect(await run([], main)).toEqual({ out: [], err: [`${message}\n\n${USAGE}`], exitCode: 2 });
  }
});

test("whatever else goes wrong is shown whole", async () => {
  const bug = new Error("a bug");
  const main = (): void => {
    throw bug;
  };
  expect(await run([], main)).toEqual({ out: [], err: [bug], exitCode: 1 });
});

test("names come in the order in which there are all", () => {
  expect(workloadNames(undefined, ["a", "b"])).toEqual(["a", "b"]);
  expect(workloadNames("b,a", ["a", "b", "c"])).toEqual(["a", "b"]);
});
