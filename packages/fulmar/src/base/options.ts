import { FulmarRangeError, FulmarTypeError } from "./errors.js";

/** What options are when none are given: made once, and in need of no check. */
export const NO_OPTIONS: Readonly<Record<string, never>> = Object.freeze({});

/** Nothing can be asked of a proxy that was revoked without an error; this calls no code of other ones. */
function kindOf(value: unknown): "list" | "revoked" | "other" {
  try {
    return Array.isArray(value) ? "list" : "other";
  } catch {
    return "revoked";
  }
}

/** Whether it is a proxy that was revoked, of which nothing can be asked any more without an error. */
export function isRevoked(value: unknown): boolean {
  return kindOf(value) === "revoked";
}

/** Whether it is an array; never an error. */
export function isList(value: unknown): value is readonly unknown[] {
  return kindOf(value) === "list";
}

/** Whether it is bytes, and nothing that only looks like them; never an error, and no code of the application runs. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && value instanceof Uint8Array;
}

/** Whether an object was made by a class; never an error of a proxy that was revoked. */
export function isMadeBy<T>(value: unknown, made: abstract new (...given: never[]) => T): value is T {
  return !isRevoked(value) && value instanceof made;
}

/** A deadline, a signal or a map in place of options that hold one would ask for nothing, as it has no members. */
function isOfOtherKind(options: object): boolean {
  try {
    return Object.prototype.toString.call(options) !== "[object Object]";
  } catch {
    return true;
  }
}

/** Refuses an options argument that is not an object of options, or has a member outside `known`. */
export function checkOptions(options: unknown, known: readonly string[], where: string): void {
  if (options === undefined || options === NO_OPTIONS) return;
  if (typeof options !== "object" || options === null || kindOf(options) !== "other") {
    throw new FulmarTypeError("INVALID_ARGUMENT", `${where}: options must be an object`);
  }
  const names = Object.keys(options);
  if (names.length === 0 && isOfOtherKind(options)) {
    const message = `${where}: options must be an object with members such as "${known[0]}", not ${textOf(options)}`;
    throw new FulmarTypeError("INVALID_ARGUMENT", message);
  }
  for (const name of names) {
    if (!known.includes(name)) {
      throw new FulmarTypeError(
        "UNKNOWN_OPTION",
        `${where}: unknown option "${name}"; known: ${known.join(", ")}`,
      );
    }
  }
}

/** Arrays of numbers of every kind. */
const TypedArray: abstract new () => Iterable<number> = Object.getPrototypeOf(Uint8Array);

/** Refuses what cannot be iterated over, and strings and bytes, which are one key and not a list of their parts. */
export function checkIterable(value: unknown, name: string): void {
  const given = value as Partial<Iterable<unknown>> | null | undefined;
  const isOne = typeof value === "string" || isBytes(value);
  if (!isRevoked(value) && !isOne && typeof given?.[Symbol.iterator] === "function" && !isSpent(value))
    return;
  throw new FulmarTypeError(
    "INVALID_ARGUMENT",
    `${name} must be an array, or something else to iterate over, and neither a string nor bytes`,
  );
}

/** Whether it is an array of numbers whose memory is gone, or that only claims to be one. */
function isSpent(value: unknown): boolean {
  try {
    if (value instanceof TypedArray) value[Symbol.iterator]();
    return false;
  } catch {
    return value instanceof TypedArray;
  }
}

/** What an application gave, for a message: never an error, whatever it is. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `a value of type ${typeof value}`;
  }
}

/** The same, text in quotes: so that "5" is told from 5. */
export function quotedTextOf(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : textOf(value);
}

/** A boolean option, or its default. */
export function booleanOption(value: unknown, name: string, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === "boolean") return value;
  throw new FulmarTypeError("INVALID_ARGUMENT", `${name} must be true or false, not ${quotedTextOf(value)}`);
}

/** An integer option within `[least, most]`, or its default. */
export function integerOption(
  value: unknown,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new FulmarTypeError("INVALID_ARGUMENT", `${name} must be an integer, not ${quotedTextOf(value)}`);
  }
  if (value < least || value > most) {
    throw new FulmarRangeError(
      "INVALID_ARGUMENT",
      `${name} must be between ${least} and ${most}, not ${value}`,
    );
  }
  return value;
}
