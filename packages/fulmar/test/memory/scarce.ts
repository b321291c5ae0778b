import { onTestFinished, vi } from "vitest";

const NAMES = ["ArrayBuffer", "SharedArrayBuffer", "Uint8Array", "Uint32Array", "Int32Array"] as const;
const REFUSAL = "Array buffer allocation failed";
/** What is no larger V8 makes on its heap, unless it is shared. */
const SMALL_BYTES = 64;

/** A time in which the system gives no memory. */
export interface Scarcity {
  /** Buffers and arrays that were refused. */
  readonly refused: number;
  /** There is memory again. */
  end(): void;
}

/** From now on it is asked of each buffer and array whether it is refused. */
function refuseBuffers(isRefused: () => boolean): void {
  for (const name of NAMES) {
    const made = globalThis[name] as unknown as new (...args: unknown[]) => object;
    const itemBytes = (made as { readonly BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    const smallBytes = name === "SharedArrayBuffer" ? 0 : SMALL_BYTES;
    const construct = (target: typeof made, args: unknown[]): object => {
      if (bytesOf(args[0], itemBytes) > smallBytes && isRefused()) throw new RangeError(REFUSAL);
      return Reflect.construct(target, args) as object;
    };
    vi.stubGlobal(name, new Proxy(made, { construct }));
  }
}

/** From now on so many buffers and arrays are granted, then at most so many refused, to everybody. */
export function scarcity(granted: number, refusedMax = Number.POSITIVE_INFINITY): Scarcity {
  onTestFinished(() => void vi.unstubAllGlobals());
  let left = granted;
  let refused = 0;
  refuseBuffers(() => {
    if (left-- > 0 || refused >= refusedMax) return false;
    refused++;
    return true;
  });
  return {
    get refused() {
      return refused;
    },
    end: () => void vi.unstubAllGlobals(),
  };
}

/** What is allocated for an array of so many items, or for a copy of one; an array on a buffer takes nothing. */
function bytesOf(argument: unknown, itemBytes: number): number {
  if (typeof argument === "number") return argument * itemBytes;
  return ArrayBuffer.isView(argument) ? argument.byteLength : 0;
}

/** Buffers and arrays that are granted still in {@link runGranted}. */
let granted = Number.POSITIVE_INFINITY;
let isCounted = false;

/**
 * Runs something for which so many buffers and arrays are granted; false when that was too few. For tests that do so
 * thousands of times: the globals stay as they are from then on, as with each change of them all code is made anew.
 */
export function runGranted(count: number, action: () => void): boolean {
  if (!isCounted) refuseBuffers(() => granted-- <= 0);
  isCounted = true;
  granted = count;
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof RangeError && error.message === REFUSAL) return false;
    throw error;
  } finally {
    granted = Number.POSITIVE_INFINITY;
  }
}
