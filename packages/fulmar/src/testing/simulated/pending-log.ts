import type { DiskProfile, PendingOperation } from "./pending.js";

/** An operation before the log gave it its number and its dependencies. */
export type Unnumbered<T> = T extends PendingOperation ? Omit<T, "seq" | "needs"> : never;

/**
 * The un-synced operations of a disk in order of issue, with the dependencies that the profile puts between
 * them. A dependency that is no longer pending is durable and binds nothing.
 */
export class PendingLog {
  readonly #profile: DiskProfile;
  readonly #operations: Map<number, PendingOperation>;
  /** Numbers by inode in order of issue; may name operations that are gone. */
  readonly #byInode = new Map<number, number[]>();
  #seq = 0;
  #lastJournal = 0;

  constructor(profile: DiskProfile, operations = new Map<number, PendingOperation>()) {
    this.#profile = profile;
    this.#operations = operations;
  }

  fork(): PendingLog {
    const copy = new PendingLog(this.#profile, new Map(this.#operations));
    copy.#seq = this.#seq;
    copy.#lastJournal = this.#lastJournal;
    for (const inode of this.#byInode.keys()) copy.#byInode.set(inode, this.of(inode));
    return copy;
  }

  /** The number of the latest operation, pending or not. */
  get latest(): number {
    return this.#seq;
  }

  get size(): number {
    return this.#operations.size;
  }

  /** In order of issue. */
  values(): Iterable<PendingOperation> {
    return this.#operations.values();
  }

  get(seq: number): PendingOperation | undefined {
    return this.#operations.get(seq);
  }

  oldest(): PendingOperation | undefined {
    return this.#operations.values().next().value;
  }

  /** The pending operations that a sync of `inode` itself covers. */
  of(inode: number): number[] {
    return (this.#byInode.get(inode) ?? []).filter((seq) => this.#operations.has(seq));
  }

  /** The latest pending operation that names `inode`, where the profile lets a sync of the file carry it. */
  entryOf(inode: number, throughSeq: number): number | undefined {
    if (this.#profile !== "ext4-like") return undefined;
    let found: number | undefined;
    for (const operation of this.#operations.values()) {
      if (operation.seq > throughSeq) break;
      if (operation.kind === "entry" && operation.changes.some((change) => change.target === inode)) {
        found = operation.seq;
      }
    }
    return found;
  }

  /** `replacesWith`: the inode that a rename puts over an existing name. */
  add(operation: Unnumbered<PendingOperation>, replacesWith?: number): void {
    const seq = ++this.#seq;
    const needs = this.#profile === "ext4-like" ? this.#journalNeeds(operation, replacesWith) : [];
    this.#operations.set(seq, { ...operation, seq, needs } as PendingOperation);
    const numbers = this.#byInode.get(operation.inode);
    if (numbers === undefined) this.#byInode.set(operation.inode, [seq]);
    else numbers.push(seq);
    if (operation.kind !== "write") this.#lastJournal = seq;
  }

  delete(seq: number): void {
    const operation = this.#operations.get(seq);
    if (operation === undefined) return;
    this.#operations.delete(seq);
    const numbers = this.#byInode.get(operation.inode) ?? [];
    if (numbers[numbers.length - 1] !== seq) return;
    const left = this.of(operation.inode);
    if (left.length === 0) this.#byInode.delete(operation.inode);
    else this.#byInode.set(operation.inode, left);
  }

  /** Takes out what will never be durable. The order of the others stays: what needed it needs what it needed. */
  lose(inode: number): void {
    const lost = new Map<number, readonly number[]>();
    const without = (needs: readonly number[]): number[] => needs.flatMap((need) => lost.get(need) ?? [need]);
    for (const seq of this.of(inode)) {
      lost.set(seq, without(this.#operations.get(seq)?.needs ?? []));
      this.delete(seq);
    }
    if (lost.has(this.#lastJournal)) this.#lastJournal = 0;
    for (const operation of this.#operations.values()) {
      if (operation.kind !== "write") this.#lastJournal = Math.max(this.#lastJournal, operation.seq);
      if (!operation.needs.some((need) => lost.has(need))) continue;
      this.#operations.set(operation.seq, { ...operation, needs: without(operation.needs) });
    }
  }

  clear(): void {
    this.#operations.clear();
    this.#byInode.clear();
  }

  /** Adds `seq` and everything that it needs to `into`. */
  close(seq: number, into: Set<number>): void {
    const stack = [seq];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const operation = this.#operations.get(next);
      if (operation === undefined || into.has(next)) continue;
      into.add(next);
      stack.push(...operation.needs);
    }
  }

  /** See `ext4-like` of {@link DiskProfile}. */
  #journalNeeds(operation: Unnumbered<PendingOperation>, replacesWith: number | undefined): number[] {
    const needs: number[] = [];
    if (operation.kind === "entry") {
      if (replacesWith !== undefined) needs.push(...this.of(replacesWith));
    } else {
      this.#dataNeeds(operation, needs);
    }
    if (operation.kind !== "write" && this.#operations.has(this.#lastJournal)) needs.push(this.#lastJournal);
    return needs;
  }

  /** Looks back no further than the file's last size change: what lies before, that change needs already. */
  #dataNeeds(operation: Unnumbered<PendingOperation>, needs: number[]): void {
    const numbers = this.#byInode.get(operation.inode) ?? [];
    for (let i = numbers.length - 1; i >= 0; i--) {
      const before = this.#operations.get(numbers[i] as number);
      if (before === undefined || before.kind === "entry") continue;
      if (before.kind === "size") {
        const freed = before.sizeBytes < before.previousBytes;
        if (operation.kind === "write" && freed && operation.position + operation.length > before.sizeBytes) {
          needs.push(before.seq);
        }
        if (operation.kind === "size" || freed) return;
      } else if (operation.kind === "size" && before.position + before.length > operation.previousBytes) {
        needs.push(before.seq);
      }
    }
  }
}
