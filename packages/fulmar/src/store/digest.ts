import { FulmarError } from "../base/errors.js";
import { checkOptions } from "../base/options.js";
import { ALL_KEYS, type KeyRange } from "../keys/range.js";
import { resolveRange } from "../keys/resolve.js";
import { addHash, DIGEST_WORDS } from "../memory/digest.js";
import { type Digest, LATEST, NONE } from "../memory/engine.js";
import { keyOf } from "../record/entry.js";
import type { StatePin } from "../transaction/pins.js";
import type { StoreCore } from "./core.js";
import { RANGE_OPTIONS } from "./list-options.js";
import { Slice } from "./slice.js";
import type { RangeOptions } from "./types.js";

/** Groups of neighbours that are hashed before the clock is looked at: about a quarter of a millisecond. */
const GROUPS = 2;
/** Groups of one turn of the event loop, and entries, where the clock stands still. */
const TURN_GROUPS = 64;
const TURN_ENTRIES = 4096;
/** Entries of a pinned state that are hashed before the clock is looked at. */
const PIECE_ENTRIES = 128;
/** How often what changed meanwhile is hashed again before a state is pinned. */
const PASSES = 3;

type DigestCore = Pick<
  StoreCore<never>,
  "engine" | "clock" | "timers" | "limits" | "committer" | "assertOpen" | "finishMerge"
>;

/** The fingerprint of a range, of everything without one. */
export function digest(core: DigestCore, options: RangeOptions | undefined): string {
  const range = checkedRange(core, options);
  core.finishMerge();
  return fingerprint(core.engine.digest(range, LATEST));
}

/**
 * The same in slices. The engine remembers what it hashed, so after a pass only what changed meanwhile is left for the
 * next one; one that takes a single turn ends with the state of that turn.
 */
export async function digestAsync(core: DigestCore, options: RangeOptions | undefined): Promise<string> {
  const range = checkedRange(core, options);
  for (let pass = 0; pass < PASSES; pass++) {
    // Digests are remembered of what is there, hidden or not.
    core.finishMerge();
    if (await prepareInTurns(core, range)) return fingerprint(core.engine.digest(range, LATEST));
  }
  return fingerprint(await digestPinned(core, range));
}

/** Hashes what the engine does not remember; whether that took no more than the present turn. */
async function prepareInTurns(core: DigestCore, { from, to }: KeyRange): Promise<boolean> {
  const { engine, clock, timers } = core;
  let slice = new Slice(clock, TURN_GROUPS);
  let isOneTurn = true;
  let next = engine.prepareDigest(from, to, GROUPS);
  while (next !== undefined) {
    if (slice.isOver(GROUPS)) {
      isOneTurn = false;
      await timers.turn();
      core.assertOpen();
      slice = new Slice(clock, TURN_GROUPS);
    }
    next = engine.prepareDigest(next, to, GROUPS);
  }
  return isOneTurn;
}

/** The digest of one state, piece by piece. */
async function digestPinned(core: DigestCore, range: KeyRange): Promise<Digest> {
  const { engine, clock, timers } = core;
  const pin = core.committer.pin(engine.version);
  try {
    const total = { count: 0, sum: new Uint32Array(DIGEST_WORDS) };
    const add = (from: Uint8Array, to: Uint8Array | undefined): void => {
      const { count, sum } = engine.digest({ from, to }, pin.version);
      total.count += count;
      addHash(total.sum, sum);
    };
    const cursor = engine.scan(range, pin.version, false);
    let slice = new Slice(clock, TURN_ENTRIES);
    let from = range.from;
    let seen = 0;
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      if (++seen % PIECE_ENTRIES !== 0) continue;
      const to = keyOf(engine.slab(ref), engine.offset(ref));
      add(from, to);
      from = to;
      if (!slice.isOver(PIECE_ENTRIES)) continue;
      await timers.turn();
      assertIntact(core, pin);
      slice = new Slice(clock, TURN_ENTRIES);
    }
    add(from, range.to);
    return total;
  } finally {
    pin.release();
  }
}

function assertIntact(core: DigestCore, pin: StatePin): void {
  core.assertOpen();
  if (pin.alive) return;
  throw new FulmarError("ROLLED_BACK", "the log refused commits that this digest is of: ask again");
}

function checkedRange(core: DigestCore, options: RangeOptions | undefined): KeyRange {
  checkOptions(options, RANGE_OPTIONS, "digest");
  core.assertOpen();
  return options === undefined ? ALL_KEYS : resolveRange(options, core.limits.keyBytesMax);
}

function fingerprint({ count, sum }: Digest): string {
  const words = Array.from(sum, (word) => word.toString(16).padStart(8, "0")).reverse();
  return `${words.join("")}-${count.toString(16)}`;
}
