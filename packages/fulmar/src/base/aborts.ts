/** Those who wait for a signal. */
class Listeners {
  readonly #signal: AbortSignal;
  readonly #all = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#aborted, { once: true });
  }

  add(listener: () => void): () => void {
    // A function of its own, so that one listener may be there twice.
    const entry = (): void => listener();
    this.#all.add(entry);
    return () => {
      if (!this.#all.delete(entry) || this.#all.size > 0) return;
      this.#signal.removeEventListener("abort", this.#aborted);
      BY_SIGNAL.delete(this.#signal);
    };
  }

  readonly #aborted = (): void => {
    BY_SIGNAL.delete(this.#signal);
    for (const listener of this.#all) listener();
    this.#all.clear();
  };
}

const BY_SIGNAL = new WeakMap<AbortSignal, Listeners>();

/**
 * Calls `listener` once when the signal is given, unless the function that is returned was called before. One listener
 * of the signal for all who wait for it: of more than ten Node warns, and an application may have one signal for a
 * thousand watches.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  let listeners = BY_SIGNAL.get(signal);
  if (listeners === undefined) {
    listeners = new Listeners(signal);
    BY_SIGNAL.set(signal, listeners);
  }
  return listeners.add(listener);
}
