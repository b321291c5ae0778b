import type { Place, Weakening } from "./register-world.js";

/** A place of which some methods are others. */
function instead(place: Place, methods: Partial<Place>): Place {
  return new Proxy(place, {
    get(target, name) {
      const other: unknown = Reflect.get(methods, name);
      if (other !== undefined) return other;
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

/** A read that shows, now and then, what was there before a set that was acknowledged. */
const staleReads: Weakening = (place, random) => {
  const before = new Map<unknown, number | undefined>();
  return instead(place, {
    get: (key) => (before.has(key) && random.chance(0.1) ? before.get(key) : place.get(key)),
    async set(key, value, options) {
      const replaced = place.get(key);
      const written = await place.set(key, value, options);
      before.set(key, replaced);
      return written;
    },
  });
};

const lostDeletions: Weakening = (place, random) =>
  instead(place, {
    delete: (key, options) =>
      random.chance(0.3) ? place.set("beside", 1, options) : place.delete(key, options),
  });

/** A swap that is decided before it is done, with others in between. */
const lateSwaps: Weakening = (place, _, turn) =>
  instead(place, {
    async compareAndSwap(key, expected, next, options) {
      const current = place.entry(key);
      if (current?.value !== expected) return { ok: false, current };
      await turn();
      const written = await (next === undefined
        ? place.delete(key, options)
        : place.set(key, next, { ttl: Number.POSITIVE_INFINITY, ...options }));
      return { ok: true, ...written };
    },
  });

const overwritingCreations: Weakening = (place) =>
  instead(place, {
    create: async (key, value, options) => ({ ok: true, ...(await place.set(key, value, options)) }),
  });

const forgottenDeadlines: Weakening = (place, random) =>
  instead(place, {
    set: (key, value, options) =>
      place.set(key, value, random.chance(0.2) ? { ...options, ttl: Number.POSITIVE_INFINITY } : options),
  });

const earlyDeadlines: Weakening = (place) =>
  instead(place, {
    set(key, value, options) {
      const ttl = options?.ttl;
      return place.set(key, value, ttl === undefined ? options : { ...options, ttl: Math.max(1, ttl - 2) });
    },
  });

/** What is called durable, and is in memory only. */
const earlyAcknowledgements: Weakening = (place) =>
  instead(place, {
    set: (key, value, options) => place.set(key, value, { ...options, durability: "memory" }),
    delete: (key, options) => place.delete(key, { ...options, durability: "memory" }),
  });

/** Stores that are worse than Fulmar, each in one way. */
export const WEAKENINGS: ReadonlyMap<string, Weakening> = new Map<string, Weakening>([
  ["a read that shows what was before an acknowledged set", staleReads],
  ["a deletion that is acknowledged and not done", lostDeletions],
  ["a swap that is decided before it is done", lateSwaps],
  ["a creation of what is there", overwritingCreations],
  ["a deadline that is forgotten", forgottenDeadlines],
  ["a deadline that comes too early", earlyDeadlines],
  ["an acknowledgement of what a crash takes away", earlyAcknowledgements],
]);
