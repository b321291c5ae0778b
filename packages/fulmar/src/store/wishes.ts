import { LATEST, NONE } from "../memory/engine.js";
import { TOMBSTONE } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import type { Pending } from "../transaction/optimistic/write-set.js";
import type { StoreCore } from "./core.js";
import { incremented, type Step } from "./increment.js";
import type { Key } from "./types.js";
import type { WriteEncoder } from "./write-encoder.js";

/** A blind write, or a step that is added to whatever the counter is at the commit. */
export type Wish =
  | { readonly kind: "write"; readonly write: LocalWrite }
  | { readonly kind: "increment"; readonly key: Key; readonly by: Step };

/** What wishes become writes with. */
export interface WishParts<V> {
  readonly core: StoreCore<V>;
  readonly encoder: WriteEncoder<V>;
}

/** What is wanted of a counter after one step more. */
export function raised<V>(parts: WishParts<V>, key: Key, wish: Wish | undefined, by: Step): Wish {
  if (wish === undefined) return { kind: "increment", key, by };
  if (wish.kind === "increment") return { kind: "increment", key, by: incremented(wish.by, by, key) };
  const { flags, value, deadline } = wish.write;
  const current = (flags & TOMBSTONE) !== 0 ? undefined : parts.core.codec.decode(value);
  const sum = incremented(current, by, key) as V;
  return {
    kind: "write",
    write: parts.encoder.keptSetting(key, sum, deadline === 0 ? {} : { expiresAt: deadline }),
  };
}

/** The write of a wish. A step counts from the newest value, whose deadline stays. */
export function resolveWish<V>({ core, encoder }: WishParts<V>, { key, what }: Pending<Wish>): LocalWrite {
  if (what.kind === "write") return what.write;
  const { engine, reader } = core;
  const ref = engine.find(key, LATEST);
  const isLive = ref !== NONE && reader.isLive(ref, reader.nowMs());
  const sum = incremented(isLive ? reader.value(ref) : undefined, what.by, what.key) as V;
  const expiresAt = isLive ? reader.expiresAt(ref) : undefined;
  return encoder.keptSetting(what.key, sum, expiresAt === undefined ? {} : { expiresAt });
}
