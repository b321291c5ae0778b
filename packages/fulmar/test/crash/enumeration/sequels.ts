import { withKeyring } from "../../../src/durability/keyring.js";
import { verifyDirectory } from "../../../src/durability/verify.js";
import type { Store, Written } from "../../../src/index.js";
import { createKeyring } from "../../../src/store/encryption.js";
import type { SimulatedDisk, SimulatedStorage } from "../../../src/testing/index.js";
import { type Found, look } from "./found.js";
import { encryptionOf, machineOn, must, openOn, ROOT } from "./machine.js";

/** What is written after a crash, to see whether it stays and has new numbers. */
export const PROBE = "~ probe";

export function probe(db: Store<string>): Promise<Written<string>> {
  return db.set(PROBE, "x");
}

/** How a store goes on that was recovered, and lost its power again. */
export interface Sequel {
  readonly second: Found;
  /** Undefined if it had been made before that. */
  readonly probed: Written<string> | undefined;
  /** What is read after one more crash, less the probe. */
  readonly rest: string;
  readonly keepsProbe: boolean;
}

/**
 * Opens disks that crashes left, and remembers what it saw: openings of equal disks at equal times show the same, so
 * that one of them is judged by everything that was promised. Many recoveries leave equal disks behind.
 */
export class Sequels {
  readonly #found = new Map<string, Found>();
  readonly #sequels = new Map<string, Sequel>();
  readonly #texts = new Map<string, string>();
  #opened = 0;

  /** Stores that were opened. */
  get opened(): number {
    return this.#opened;
  }

  /** Counts openings by others. */
  count(openings: number): void {
    this.#opened += openings;
  }

  /** Notes what a disk shows that is described by its fingerprint. */
  remember(fingerprint: string, wallMs: number, found: Found): void {
    this.#found.set(`${wallMs} ${fingerprint}`, { ...found, shown: this.#text(found.shown) });
  }

  /** What a store shows that is opened on a disk without power and quota. */
  async found(disk: SimulatedDisk, wallMs: number): Promise<Found> {
    const mark = `${wallMs} ${disk.fingerprint()}`;
    const known = this.#found.get(mark);
    if (known !== undefined) return known;
    const storage = machineOn(disk, wallMs);
    const db = await openOn(storage);
    const found = look(db, storage);
    await db.close();
    this.#opened++;
    this.#found.set(mark, { ...found, shown: this.#text(found.shown) });
    return found;
  }

  /** How a store goes on from such a disk; with a probe at first if `probes`. */
  async sequel(disk: SimulatedDisk, wallMs: number, probes: boolean): Promise<Sequel> {
    const mark = `${probes} ${wallMs} ${disk.fingerprint()}`;
    const known = this.#sequels.get(mark);
    if (known !== undefined) return known;
    const storage = machineOn(disk, wallMs);
    const db = await openOn(storage);
    const second = look(db, storage);
    const probed = probes ? await probe(db) : undefined;
    storage.powerCut();
    storage.restart();
    const third = await openOn(storage);
    const entries = [...third.list()]
      .filter(({ key }) => key !== PROBE)
      .map(({ key, value }) => [key, value]);
    const keepsProbe = third.get(PROBE) === "x";
    await checkClose(storage, third);
    this.#opened += 3;
    const rest = this.#text(JSON.stringify(entries));
    const sequel = { second: { ...second, shown: this.#text(second.shown) }, probed, rest, keepsProbe };
    this.#sequels.set(mark, sequel);
    return sequel;
  }

  /** Equal texts are kept once. */
  #text(text: string): string {
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
  }
}

/** An orderly close leaves no litter, and what is opened then is the same. */
async function checkClose(storage: SimulatedStorage, db: Store<string>): Promise<void> {
  // Closing removes what has expired, of which a digest tells; so does this.
  await db.flush();
  const digest = db.digest();
  await db.close();
  const keyring = createKeyring(storage.runtime, encryptionOf(storage).encryption);
  const report = await verifyDirectory(withKeyring(storage.runtime, keyring), ROOT);
  const complaints = JSON.stringify(report.findings);
  must(report.ok && report.findings.length === 0, `I5: a closed store has ${complaints}`);
  const again = await openOn(storage);
  must(again.digest() === digest, "I4: closing and opening changed the store");
  await again.close();
}
