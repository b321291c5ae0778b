import { expect } from "vitest";
import type { Cryptography } from "../../../src/base/runtime/interface.js";
import { type Encryption, type OpenOptions, open, type Store, type StoreStatus } from "../../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../../src/testing/index.js";
import { filesOf } from "../../durability/harness.js";

export const ROOT = "/data";
export const BACKUP = "/one.backup";
export const MARKER = "MARKED";
export const [ONE, TWO] = [1, 2].map((byte) => new Uint8Array(32).fill(byte));

export function machine(cryptography: Cryptography = nodeCryptography, seed = 1): SimulatedStorage {
  return simulatedStorage({ cryptography, sectorBytes: 512, seed });
}

export function openOn(
  { runtime }: Pick<SimulatedStorage, "runtime">,
  encryption: Encryption | undefined,
  options: OpenOptions<string> = {},
): Promise<Store<string>> {
  const base = { codec: "text", segmentBytes: 65_536, runtime } as const;
  return open<string>(ROOT, { ...base, ...options, ...(encryption !== undefined && { encryption }) });
}

/** Files that hold the marker, which every key and value of these tests has in it. */
export function marked(storage: SimulatedStorage): string[] {
  const pattern = [...MARKER].map((letter) => letter.charCodeAt(0));
  const holds = (bytes: Uint8Array): boolean => {
    for (let at = bytes.indexOf(pattern[0]); at >= 0; at = bytes.indexOf(pattern[0], at + 1)) {
      if (pattern.every((byte, i) => bytes[at + i] === byte)) return true;
    }
    return false;
  };
  return filesOf(storage, "")
    .filter(([, bytes]) => holds(bytes))
    .map(([path]) => path);
}

/** Enough for several segments; the next one is prepared beside the writes. */
export async function fill(db: Store<string>, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await db.set(`${MARKER} ${i}`, MARKER.repeat(1000));
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
  }
}

export function keysOf(db: Store<string>): StoreStatus["encryption"] {
  return db.status().encryption;
}

export async function errorOf(
  work: Promise<unknown>,
): Promise<{ code?: unknown; message: string; details?: object }> {
  return work.then(
    () => expect.fail("it should have been refused"),
    (error: unknown) => error as { code?: unknown; message: string },
  );
}

/** Opening is refused, and changes nothing. */
export async function refusal(storage: SimulatedStorage, encryption: Encryption | undefined) {
  const before = storage.disk.fingerprint();
  const error = await errorOf(openOn({ runtime: storage.restart() }, encryption));
  expect(storage.disk.fingerprint()).toBe(before);
  return error;
}
