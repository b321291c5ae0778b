import { LATEST, NONE } from "../memory/engine.js";
import { TOMBSTONE } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import type { Pending } from "../transaction/optimistic/write-set.js";
import { incremented, type Step } from "./increment.js";
import type { Scope } from "./scope.js";
import type { Key } from "./types.js";

/** A blind write. */
export class WriteWish {
  readonly kind = "write";
  readonly write: LocalWrite;

  constructor(write: LocalWrite) {
    this.write = write;
  }
}

/** A blind write, or a step that is added to whatever the counter is at the commit. */
export type Wish =
  | WriteWish
  | { readonly kind: "increment"; readonly key: Key; readonly by: Step; readonly scope: WishScope };

export function isDeletion(wish: Wish | undefined): boolean {
  return wish?.kind === "write" && (wish.write.flags & TOMBSTONE) !== 0;
}

/** Where a counter is. */
export type WishScope = Pick<Scope<never, unknown>, "reader" | "encoder">;

const FOR_EVER = Number.POSITIVE_INFINITY;

/** What is wanted of a counter after one step more. */
export function raised(
  scope: WishScope,
  key: Key,
  encoded: Uint8Array,
  wish: Wish | undefined,
  by: Step,
): Wish {
  if (wish === undefined) return { kind: "increment", key, by, scope };
  if (wish.kind === "increment") return { kind: "increment", key, by: incremented(wish.by, by, key), scope };
  const { flags, value, deadline } = wish.write;
  // What is counted on after a deletion is a new counter, which lives as long as new ones do.
  const isRemoved = (flags & TOMBSTONE) !== 0;
  const current = isRemoved ? undefined : scope.reader.codec.decode(value);
  const lifetime = isRemoved ? {} : { expiresAt: deadline === 0 ? FOR_EVER : deadline };
  const sum = incremented(current, by, key);
  return new WriteWish(scope.encoder.counting(key, encoded, sum, lifetime));
}

/**
 * The write of a wish. A step counts from the newest value, whose deadline stays. Whether that can be read is judged by
 * `nowMs`, in wall ms: the moment by which all else was judged that belongs to the commit.
 */
export function resolveWish({ key, what }: Pending<Wish>, nowMs: number): LocalWrite {
  if (what.kind === "write") return what.write;
  const { reader, encoder } = what.scope;
  const ref = reader.engine.find(key, LATEST);
  const isLive = ref !== NONE && reader.isLive(ref, nowMs);
  const sum = incremented(isLive ? reader.value(ref) : undefined, what.by, what.key);
  const lifetime = isLive ? { expiresAt: reader.expiresAt(ref) ?? FOR_EVER } : {};
  return encoder.counting(what.key, key, sum, lifetime);
}
