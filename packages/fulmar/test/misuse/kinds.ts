import { ERROR_CATALOGUE } from "../../src/base/errors.js";

/** Nothing can be asked of it, not even what it is. */
export function revoked(): never {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy as never;
}

/** Bytes whose buffer belongs to somebody else by now. */
export function transferred(): Uint8Array {
  const bytes = Uint8Array.of(1, 2, 3);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** A list that is in itself. */
export function nested(): unknown[] {
  const around: unknown[] = [];
  around.push(around);
  return around;
}

/** What an application throws itself comes back to it as it is. */
const OWN = new Error("thrown by the application");

/** Throws at whatever is asked of it. */
function hostile(): object {
  const refuse = (): never => {
    throw OWN;
  };
  return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getPrototypeOf: refuse });
}

/** What an application may give by mistake where something else is wanted; each made anew, by name. */
export const KINDS: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  "0": () => 0,
  "-1": () => -1,
  "1.5": () => 1.5,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  "1n": () => 1n,
  "an empty string": () => "",
  "a string": () => "text",
  "half a surrogate pair": () => "\ud800",
  "a NUL": () => "a\0b",
  "a symbol": () => Symbol("odd"),
  "a function": () => () => 1,
  "an object": () => ({}),
  "an object without a prototype": () => Object.create(null),
  "an object whose text throws": () => ({ toString: () => ({}), valueOf: () => ({}) }),
  "an unknown member": () => ({ misspelt: 1 }),
  "a list": () => [],
  "a list of nothing": () => [undefined],
  "a list of null": () => [null],
  "a list of numbers": () => [1, 2],
  "a list of strings": () => ["text", "text"],
  "a list in itself": nested,
  "a map": () => new Map([["k", 1]]),
  "a date": () => new Date(Number.NaN),
  "a promise": () => Promise.resolve(1),
  "bytes that are gone": transferred,
  "bytes behind a proxy": () => new Proxy(new Uint8Array(3), {}),
  "a revoked proxy": revoked,
  "a proxy that throws": hostile,
};

/** The class and code of what is thrown at once or later. */
export async function failureOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    const { name, code } = error as { name: string; code?: string };
    return `${name} ${code}`;
  }
  return "success";
}

/** Whether an error has a code of the catalogue. */
export function isCoded(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code) in ERROR_CATALOGUE;
}

/** One argument of a call, by the name of both. */
export type Misuse = readonly [name: string, call: (odd: never) => unknown];

/**
 * Gives each kind to each call, one after the other. What comes of it may be a success, or an error that
 * `isRight`; a line for each other.
 */
export async function mistakes(
  calls: readonly Misuse[],
  isRight: (error: unknown) => boolean = isCoded,
): Promise<string[]> {
  const lines: string[] = [];
  for (const [name, call] of calls) {
    for (const [kind, make] of Object.entries(KINDS)) {
      try {
        await call(make() as never);
      } catch (error) {
        if (error !== OWN && !isRight(error)) lines.push(`${name}, ${kind}: ${shown(error)}`);
      }
    }
  }
  return lines;
}

function shown(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : typeof error;
}
