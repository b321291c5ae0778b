import { compareStamps, type Entry, type Key, type Stamp, type Tombstone } from "fulmar";

/** How a write ended, as far as its writer knows. */
export type Outcome = "unknown" | "acknowledged" | "refused";

/** One key of one commit that some node issued. */
export interface IssuedWrite {
  readonly key: string;
  readonly stamp: Stamp;
  /** Undefined for a deletion. */
  readonly value: string | undefined;
  outcome: Outcome;
  /** The disk of its writer. */
  readonly home: string;
  /** The disks that hold it, or something newer, through every crash. What only lost disks held may be lost. */
  readonly holders: Set<string>;
}

export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
}

export function fail(message: string): never {
  throw new SimulationFailure(message);
}

/** The stable code of an error of the library, if it has one. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

export function keyName(key: Key): string {
  return JSON.stringify(key);
}

export function stampName({ hlc, origin, seq }: Stamp): string {
  return `${hlc}/${origin.slice(0, 6)}/${seq}`;
}

/** Knows every write that any node ever issued, and judges what nodes show. */
export class Oracle {
  readonly #writes = new Map<string, Map<string, IssuedWrite>>();
  readonly #numbers = new Map<string, string>();
  readonly #lostDisks = new Set<string>();
  #issued = 0;
  #acknowledged = 0;

  get issued(): number {
    return this.#issued;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** `home` names the disk of the writer. */
  issue(key: Key, stamp: Stamp, value: string | undefined, home: string): IssuedWrite {
    const name = keyName(key);
    const write: IssuedWrite = { key: name, stamp, value, outcome: "unknown", home, holders: new Set() };
    const ofKey = this.#writes.get(name) ?? new Map<string, IssuedWrite>();
    this.#writes.set(name, ofKey);
    const id = stampName(stamp);
    if (ofKey.has(id)) fail(`the stamp ${id} was given out twice for ${name}`);
    this.number(`${stamp.origin} seq ${stamp.seq}`, stamp);
    ofKey.set(id, write);
    this.#issued++;
    return write;
  }

  acknowledge(writes: readonly IssuedWrite[], synced: boolean): void {
    this.#acknowledged += writes.length;
    for (const write of writes) {
      write.outcome = "acknowledged";
      if (synced) write.holders.add(write.home);
    }
  }

  refuse(writes: readonly IssuedWrite[]): void {
    for (const write of writes) write.outcome = "refused";
  }

  /** A node shows a merged write: its own disk has it, and its writer had it on stable storage before. */
  seenElsewhere(key: Key, stamp: Stamp, where: string, disk: string): void {
    const write = this.#find(keyName(key), stamp);
    if (write === undefined) fail(`${where} shows a write of ${keyName(key)} that nobody issued`);
    for (const holder of [disk, write.home]) {
      if (!this.#lostDisks.has(holder)) write.holders.add(holder);
    }
  }

  /** A number stands for one commit for ever, whatever crashes in between. */
  number(name: string, stamp: Stamp): void {
    const id = stampName(stamp);
    const before = this.#numbers.get(name) ?? id;
    if (before !== id) fail(`${name} was given out for ${before} and for ${id}`);
    this.#numbers.set(name, id);
  }

  /** A disk is gone for good, and with it what no other holds. */
  loseDisk(disk: string): void {
    this.#lostDisks.add(disk);
    for (const writes of this.#writes.values()) {
      for (const write of writes.values()) write.holders.delete(disk);
    }
  }

  /** Whether what a node shows for a key was ever written so, and not refused for certain. */
  checkShown(key: Key, entry: Entry | Tombstone | undefined, where: string): void {
    if (entry === undefined) return;
    const write = this.#find(keyName(key), entry.stamp);
    if (write === undefined)
      fail(`${where} shows ${keyName(key)} at ${stampName(entry.stamp)}: never written`);
    const value = entry.tombstone === undefined ? entry.value : undefined;
    if (write.value !== value) fail(`${where} shows ${keyName(key)} as ${value}, written was ${write.value}`);
    if (write.outcome === "refused") fail(`${where} shows a refused write of ${keyName(key)}`);
  }

  /** Whether nothing that some disk holds is newer than what a node shows. With `disk`, only what that one holds. */
  checkNothingLost(read: (key: Key) => Entry | Tombstone | undefined, where: string, disk?: string): void {
    for (const [name, writes] of this.#writes) {
      const key = JSON.parse(name) as Key;
      const entry = read(key);
      this.checkShown(key, entry, where);
      for (const write of writes.values()) {
        if (disk === undefined ? write.holders.size === 0 : !write.holders.has(disk)) continue;
        if (entry !== undefined && compareStamps(entry.stamp, write.stamp) >= 0) continue;
        const shown = entry === undefined ? "nothing" : stampName(entry.stamp);
        fail(`${where} lost a safe write of ${name} at ${stampName(write.stamp)}: shows ${shown}`);
      }
    }
  }

  #find(name: string, stamp: Stamp): IssuedWrite | undefined {
    return this.#writes.get(name)?.get(stampName(stamp));
  }
}
