import { expect, test } from "vitest";
import {
  checkListAppend,
  hermitageScenarios,
  isLinearizable,
  type ListTransaction,
  nodeCryptography,
  Prng,
  SimulatedDisk,
  SimulatedWorld,
  simulatedStorage,
} from "../../src/testing/index.js";
import { failureOf, type Misuse, mistakes } from "./kinds.js";

const seed = 1;
const cryptography = nodeCryptography;

test("whatever is given to the simulated machines is taken, or refused by a code", async () => {
  const disk = [
    "profile",
    "sectorBytes",
    "sectorAtomic",
    "staleGarbage",
    "quotaBytes",
    "openFilesMax",
    "seed",
  ];
  const clock = ["offsetMs", "drift", "resolutionMs"];
  const calls: Misuse[] = [
    ["simulatedStorage", simulatedStorage],
    ["SimulatedDisk", (odd) => new SimulatedDisk(odd)],
    ["SimulatedWorld", (odd) => new SimulatedWorld(odd)],
    ["seed of a world", (odd) => new SimulatedWorld({ seed: odd, cryptography })],
    ["link", (odd) => new SimulatedWorld({ seed, cryptography, link: odd })],
    ["loopback", (odd) => new SimulatedWorld({ seed, cryptography, loopback: odd })],
    ["an option that there is not", (odd) => simulatedStorage({ seed, misspelt: odd } as object)],
    ["disk", (odd) => simulatedStorage({ disk: odd })],
    ["clock", (odd) => simulatedStorage({ clock: odd })],
    ...disk.map((name): Misuse => [name, (odd) => simulatedStorage({ [name]: odd })]),
    ...clock.map((name): Misuse => [name, (odd) => simulatedStorage({ clock: { [name]: odd } })]),
    ["Prng", (odd) => new Prng(odd)],
    ["below", (odd) => new Prng(seed).below(odd)],
  ];
  expect(await mistakes(calls)).toEqual([]);
});

test("whatever is given as a history is taken, or refused by a code", async () => {
  const transaction = { id: "t", outcome: "committed", steps: [], begin: 0, end: 1 } as const;
  const read = { do: "read", value: 1, begin: 0, end: 1 } as const;
  const calls: Misuse[] = [
    ["checkListAppend", checkListAppend],
    ["one transaction", (odd) => checkListAppend([odd])],
    ["outcome", (odd) => checkListAppend([{ ...transaction, outcome: odd }])],
    ["steps", (odd) => checkListAppend([{ ...transaction, steps: odd }])],
    ["one step", (odd) => checkListAppend([{ ...transaction, steps: [odd] }])],
    ["list", (odd) => checkListAppend([{ ...transaction, steps: [{ do: "read", key: "k", list: odd }] }])],
    ["options", (odd) => checkListAppend([], odd)],
    ["isLinearizable", (odd) => isLinearizable(odd, 1)],
    ["one operation", (odd) => isLinearizable([odd], 1)],
    ["what it does", (odd) => isLinearizable([{ ...read, do: odd }], 1)],
    ["when", (odd) => isLinearizable([{ ...read, begin: odd }], 1)],
    ["until when", (odd) => isLinearizable([{ ...read, unknown: true, until: odd }], 1)],
  ];
  expect(await mistakes(calls)).toEqual([]);
});

function transactionOf(id: string, ...elements: number[]): ListTransaction {
  const steps = elements.map((element) => ({ do: "append", key: "k", element }) as const);
  return { id, outcome: "committed", steps, begin: 0, end: 1 };
}

test("what would never end, or find nothing wrong, is refused", async () => {
  const refused: [() => unknown, string][] = [
    [() => new Prng(1).below(0), "TypeError INVALID_ARGUMENT"],
    [() => new Prng(1).below(Number.NaN), "TypeError INVALID_ARGUMENT"],
    [() => new Prng(1).below(2 ** 33), "TypeError INVALID_ARGUMENT"],
    [() => new Prng(undefined as never), "TypeError INVALID_ARGUMENT"],
    [() => simulatedStorage({ profile: "posix" as never }), "TypeError INVALID_ARGUMENT"],
    [() => simulatedStorage({ quotaBytes: -1 }), "RangeError INVALID_ARGUMENT"],
    [() => simulatedStorage({ sectorBites: 512 } as object), "TypeError UNKNOWN_OPTION"],
    [() => checkListAppend([{ outcome: "ok" } as never]), "TypeError INVALID_ARGUMENT"],
    [() => checkListAppend([transactionOf("")]), "TypeError INVALID_ARGUMENT"],
    [() => checkListAppend([transactionOf("a", 1, 1)]), "TypeError INVALID_ARGUMENT"],
    [() => isLinearizable([{ do: "increment" } as never], 0), "TypeError INVALID_ARGUMENT"],
    [() => hermitageScenarios()[0].run({} as never, "none" as never), "TypeError INVALID_ARGUMENT"],
  ];
  for (const [call, failure] of refused) expect(await failureOf(call), String(call)).toBe(failure);
});
