/** Counts the bytes of arrays made by length, and throws at the one that is too much. Returns the way to stop. */
export function watchAllocations(bytesMax: number): () => void {
  const originals = [Uint8Array, Uint32Array, ArrayBuffer] as const;
  let left = bytesMax;
  const watched = originals.map((original) => {
    const width = "BYTES_PER_ELEMENT" in original ? original.BYTES_PER_ELEMENT : 1;
    return new Proxy(original, {
      construct(target, parameters: unknown[], made) {
        const [length] = parameters;
        if (typeof length === "number") {
          left -= length * width;
          if (left < 0)
            throw new RangeError(`an array of ${length * width} bytes exceeds ${bytesMax} in all`);
        }
        return Reflect.construct(target, parameters, made === watchedOf(target) ? target : made) as object;
      },
    });
  });
  const watchedOf = (target: unknown): unknown => watched[originals.indexOf(target as typeof Uint8Array)];
  const names = ["Uint8Array", "Uint32Array", "ArrayBuffer"] as const;
  for (const [i, name] of names.entries()) Object.assign(globalThis, { [name]: watched[i] });
  return () => {
    for (const [i, name] of names.entries()) Object.assign(globalThis, { [name]: originals[i] });
  };
}
