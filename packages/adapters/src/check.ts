import { FulmarTypeError, type Store } from "fulmar";

/** By which a store is known, whatever else it is. */
const METHODS = ["get", "getMany", "set", "batch", "list", "status"] as const satisfies (keyof Store)[];

/** An error of the calling program. */
export function refusal(message: string): FulmarTypeError {
  return new FulmarTypeError("INVALID_ARGUMENT", message);
}

/** Whether a value has members by name; never an error of a proxy that was revoked. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && isList(value) === false;
}

/** Refuses what is not an array. */
export function checkList(value: unknown, name: string): asserts value is readonly unknown[] {
  if (isList(value) !== true) throw refusal(`${name} must be an array`);
}

/** Refuses what is not an array of objects. */
export function checkObjects(value: unknown, name: string): asserts value is readonly object[] {
  checkList(value, name);
  if (!value.every(isObject)) throw refusal(`each of ${name} must be an object`);
}

/** The store that an adapter was given; undefined for a directory, or for nothing. @throws INVALID_ARGUMENT */
export function givenStore<S extends object>(source: S | string | undefined, name: string): S | undefined {
  if (source === undefined || typeof source === "string") return undefined;
  const given: unknown = source;
  if (isObject(given) && METHODS.every((method) => typeof Reflect.get(given, method) === "function"))
    return source;
  throw refusal(`${name} must be a directory or an open store`);
}

/** Whether a value is an array; undefined for a proxy that was revoked, of which nothing can be asked. */
function isList(value: unknown): boolean | undefined {
  try {
    return Array.isArray(value);
  } catch {
    return undefined;
  }
}
