import { fromHex, toHex } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { quotedTextOf } from "../base/options.js";
import { OWN_PREFIX } from "../keys/key.js";
import { prefixRange } from "../keys/range.js";
import { LATEST, LIVING, NONE } from "../memory/engine.js";
import { isTombstone, keyOf, valueView } from "../record/entry.js";
import { ORIGIN_ID_BYTES, type OriginId } from "../record/origins.js";
import type { StorePort } from "../store/port.js";
import { ADDRESS_BYTES_MAX, MEMBERS_MAX } from "./protocol/limits.js";

/** A node that listens, as all members know it. */
export interface Member {
  readonly id: OriginId;
  readonly name: string;
  readonly address: string;
  /** Wall ms since 1970 when it began to listen there. */
  readonly since: number;
}

/** "m", then the member's incarnation. */
const MEMBER_PREFIX = Uint8Array.of(OWN_PREFIX, 0x6d);
const MEMBER_BYTES_MAX = 2048;
const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();

function memberKey(id: OriginId): Uint8Array {
  const key = new Uint8Array(MEMBER_PREFIX.length + ORIGIN_ID_BYTES);
  key.set(MEMBER_PREFIX);
  const bytes = fromHex(id);
  if (bytes !== undefined) key.set(bytes, MEMBER_PREFIX.length);
  return key;
}

/**
 * Who belongs to the cluster and where: replicated data like any other, in a prefix that no application
 * can reach. A record stays when its node is down; `removePeer` takes it out.
 */
export class Membership {
  readonly #port: StorePort;

  constructor(port: StorePort) {
    this.#port = port;
  }

  /** Every readable record. What a peer wrote there is checked before it is believed. */
  list(): Member[] {
    const { engine } = this.#port;
    const members: Member[] = [];
    const cursor = engine.scan(prefixRange(MEMBER_PREFIX), LATEST, false, LIVING);
    for (let ref = cursor.next(); ref !== NONE && members.length < MEMBERS_MAX; ref = cursor.next()) {
      const slab = engine.slab(ref);
      const offset = engine.offset(ref);
      const key = keyOf(slab, offset);
      if (isTombstone(slab, offset) || key.length !== MEMBER_PREFIX.length + ORIGIN_ID_BYTES) continue;
      const member = readMember(toHex(key.subarray(MEMBER_PREFIX.length)), valueView(slab, offset));
      if (member !== undefined) members.push(member);
    }
    return members;
  }

  /** Makes this node's address known, unless it is already. */
  async publish(name: string, address: string): Promise<void> {
    const { incarnation, runtime } = this.#port;
    const known = this.list().find((member) => member.id === incarnation);
    if (known?.name === name && known.address === address) return;
    const value = JSON.stringify({ name, address, since: Math.floor(runtime.clock.wallMs()) });
    await this.#port.setReserved(memberKey(incarnation), UTF8.encode(value));
  }

  /** Takes a member out. False if there is no record of it. @throws INVALID_ARGUMENT */
  async remove(id: OriginId): Promise<boolean> {
    if (typeof id !== "string" || !/^[0-9a-f]{32}$/.test(id)) {
      // Addresses of nodes that were never met have no id, and none of them is meant.
      const message = `removePeer: the id must be one that members() or peers() tell, not ${quotedTextOf(id)}`;
      throw new FulmarTypeError("INVALID_ARGUMENT", message);
    }
    if (!this.list().some((member) => member.id === id)) return false;
    await this.#port.setReserved(memberKey(id), undefined);
    return true;
  }
}

/** Where an address can be dialled by others: not where it stands for every interface. */
export function isDialable(address: string): boolean {
  return !/^(0\.0\.0\.0|\[?::\]?|\*)?:\d+$/.test(address);
}

function readMember(id: OriginId, value: Uint8Array): Member | undefined {
  if (value.length > MEMBER_BYTES_MAX) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(TEXT.decode(value));
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { name, address, since } = parsed as Record<string, unknown>;
  if (typeof name !== "string" || typeof address !== "string" || typeof since !== "number") return undefined;
  if (address.length === 0 || UTF8.encode(address).length > ADDRESS_BYTES_MAX) return undefined;
  // Printable characters only: an address ends up in logs and in the resolver.
  if (!/^[\x21-\x7e]+$/.test(address)) return undefined;
  return { id, name, address, since };
}
