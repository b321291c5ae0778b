import { onTestFinished, vi } from "vitest";

const NAMES = ["ArrayBuffer", "SharedArrayBuffer", "Uint8Array", "Uint32Array", "Int32Array"] as const;
/** What is no larger V8 makes on its heap, unless it is shared. */
const SMALL_BYTES = 64;

/** A time in which the system gives no memory. */
export interface Scarcity {
  /** Buffers and arrays that were refused. */
  readonly refused: number;
  /** There is memory again. */
  end(): void;
}

/** From now on so many buffers and arrays are granted, then at most so many refused, to everybody. */
export function scarcity(granted: number, refusedMax = Number.POSITIVE_INFINITY): Scarcity {
  onTestFinished(() => void vi.unstubAllGlobals());
  let left = granted;
  let refused = 0;
  for (const name of NAMES) {
    const made = globalThis[name] as unknown as new (...args: unknown[]) => object;
    const itemBytes = (made as { readonly BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    const smallBytes = name === "SharedArrayBuffer" ? 0 : SMALL_BYTES;
    const construct = (target: typeof made, args: unknown[]): object => {
      if (bytesOf(args[0], itemBytes) > smallBytes && left-- <= 0 && refused < refusedMax) {
        refused++;
        throw new RangeError("Array buffer allocation failed");
      }
      return Reflect.construct(target, args) as object;
    };
    vi.stubGlobal(name, new Proxy(made, { construct }));
  }
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
