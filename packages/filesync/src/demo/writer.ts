import { createHash } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Dice } from "./dice.js";

/** A user of one directory, who writes, overwrites, renames and deletes files as fast as the disk lets him. */
export class Writer {
  readonly #tree: string;
  /** Where only this writer writes. */
  readonly folder: string;
  readonly #dice: Dice;
  /** What must be in the end: path to SHA-256. Only in the writer's own folder, where nobody else writes. */
  readonly expected = new Map<string, string>();
  #count = 0;
  operations = 0;

  constructor(tree: string, name: string, dice: Dice) {
    this.#tree = tree;
    this.folder = `from ${name}`;
    this.#dice = dice;
  }

  /** Does so many operations. */
  async write(operations: number): Promise<void> {
    await mkdir(join(this.#tree, this.folder), { recursive: true });
    for (let i = 0; i < operations; i++) {
      await this.#step();
      this.operations++;
      await setImmediate();
    }
  }

  async #step(): Promise<void> {
    const paths = [...this.expected.keys()];
    const some = paths[this.#dice.below(Math.max(1, paths.length))];
    const choice = this.#dice.below(10);
    if (some === undefined || choice < 4) return this.#put(this.#newPath());
    if (choice < 6) return this.#put(some);
    if (choice === 6) return this.#contest();
    if (choice === 7) {
      await rm(join(this.#tree, some));
      this.expected.delete(some);
      return;
    }
    const target = this.#newPath();
    await mkdir(join(this.#tree, target, ".."), { recursive: true });
    await rename(join(this.#tree, some), join(this.#tree, target));
    this.expected.set(target, this.expected.get(some) as string);
    this.expected.delete(some);
  }

  #newPath(): string {
    const number = this.#count++;
    return `${this.folder}/${number % 5}/file ${number}`;
  }

  async #put(path: string): Promise<void> {
    const content = this.#dice.bytes(this.#dice.below(10) === 0 ? 600_000 : this.#dice.below(20_000));
    await mkdir(join(this.#tree, path, ".."), { recursive: true });
    await writeFile(join(this.#tree, path), content);
    this.expected.set(path, createHash("sha256").update(content).digest("hex"));
  }

  /** A file that all three write to: one of them wins, everywhere the same. */
  async #contest(): Promise<void> {
    await writeFile(join(this.#tree, `contested ${this.#dice.below(3)}`), this.#dice.bytes(3000));
  }
}
