type Constructor = new (...args: unknown[]) => object;

const NAMES = ["ArrayBuffer", "SharedArrayBuffer", "Uint8Array", "Uint32Array"];
/** What is smaller V8 makes on its heap, or it is none of what grows with a store. */
const LARGE = 64;

/** Large buffers and arrays that are still granted. */
let left = Number.POSITIVE_INFINITY;
let isInstalled = false;

/** Once for all tests of a file: whatever names a global that changes is compiled anew. */
function install(): void {
  isInstalled = true;
  const construct = (target: Constructor, args: unknown[]): object => {
    const isLarge = typeof args[0] === "number" && args[0] > LARGE;
    if (isLarge && left-- <= 0) throw new RangeError("Array buffer allocation failed");
    return Reflect.construct(target, args) as object;
  };
  for (const name of NAMES) {
    const real = Reflect.get(globalThis, name) as Constructor;
    Reflect.set(globalThis, name, new Proxy(real, { construct }));
  }
}

/** From now on so many large buffers and arrays are granted, and no more, until {@link grantAll}. */
export function grant(count: number): void {
  if (!isInstalled) install();
  left = count;
}

export function grantAll(): void {
  left = Number.POSITIVE_INFINITY;
}

/** Runs something for which there are so many large buffers and arrays; false when that was too few. */
export function runGranted(count: number, action: () => void): boolean {
  grant(count);
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof RangeError && error.message === "Array buffer allocation failed") return false;
    throw error;
  } finally {
    grantAll();
  }
}
