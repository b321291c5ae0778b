import { describe, expect, test } from "vitest";
import { readU32 } from "../../../src/base/bytes.js";
import type { Random, Runtime } from "../../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import {
  FileSeal,
  NONCE_BYTES,
  roomBefore,
  SEAL_BYTES,
  sealBytes,
} from "../../../src/durability/file-seal.js";
import { machine } from "../harness.js";

const HEADER = Uint8Array.from([1, 2, 3]);
const BOUND = Uint8Array.from([4, 5]);
const POSITION = 2 ** 33 + 7;

/** Another value for each byte, and the number of draws. */
class Draws implements Random {
  count = 0;

  fill(target: Uint8Array): void {
    this.count++;
    for (let i = 0; i < target.length; i++) target[i] = 16 * this.count + i;
  }

  below(): number {
    return 0;
  }
}

function newSeal(random: Random = new Draws(), keyByte = 9): FileSeal {
  const runtime: Runtime = { ...machine().runtime, random };
  return new FileSeal(runtime, "one", HEADER, new Uint8Array(32).fill(keyByte));
}

/** The sealed form of a text, with room on both sides of it. */
function sealed(seal: FileSeal, text: string, position = POSITION, ...bound: Uint8Array[]): Uint8Array {
  const content = new TextEncoder().encode(text);
  const bytes = new Uint8Array(5 + SEAL_BYTES + content.length + 5).fill(0xee);
  bytes.set(content, 5 + NONCE_BYTES);
  seal.seal(bytes, 5, content.length, position, ...bound);
  expect([...bytes.subarray(0, 5), ...bytes.subarray(-5)]).toEqual(Array(10).fill(0xee));
  return bytes.slice(5, -5);
}

function opened(seal: FileSeal, bytes: Uint8Array, position = POSITION, ...bound: Uint8Array[]) {
  const content = seal.unseal(bytes, 0, bytes.length, position, ...bound);
  return content === undefined ? undefined : new TextDecoder().decode(content);
}

describe("a file's seal", () => {
  test("gives back what was sealed, also by another process that has the key", () => {
    const bytes = sealed(newSeal(), "what", POSITION, HEADER, BOUND);
    expect(new TextDecoder("latin1").decode(bytes)).not.toContain("what");
    expect(opened(newSeal(), bytes, POSITION, HEADER, BOUND)).toBe("what");
    expect(opened(newSeal(), sealed(newSeal(), ""))).toBe("");
  });

  test("opens for its place, its key and the bytes that it is bound to only", () => {
    const bytes = sealed(newSeal(), "what", POSITION, HEADER, BOUND);
    for (const position of [0, POSITION - 1, POSITION + 1, POSITION + 2 ** 32, 7]) {
      expect(opened(newSeal(), bytes, position, HEADER, BOUND), `${position}`).toBeUndefined();
    }
    for (const bound of [[], [HEADER], [BOUND, HEADER], [HEADER, HEADER], [HEADER, BOUND, BOUND]]) {
      expect(opened(newSeal(), bytes, POSITION, ...bound)).toBeUndefined();
    }
    expect(opened(newSeal(new Draws(), 8), bytes, POSITION, HEADER, BOUND)).toBeUndefined();
  });

  test("does not open when any byte of it is another one", () => {
    const bytes = sealed(newSeal(), "what");
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] ^= 1;
      expect(opened(newSeal(), changed), `byte ${at}`).toBeUndefined();
    }
  });

  test("does not open what is too short to be sealed", () => {
    const bytes = sealed(newSeal(), "");
    expect(bytes.length).toBe(SEAL_BYTES);
    const longer = new Uint8Array(100);
    longer.set(bytes);
    const seal = newSeal();
    expect(seal.unseal(longer, 0, SEAL_BYTES, POSITION)).toEqual(new Uint8Array(0));
    for (const length of [0, 1, NONCE_BYTES, SEAL_BYTES - 1, SEAL_BYTES + 1]) {
      expect(seal.unseal(longer, 0, length, POSITION), `${length} bytes`).toBeUndefined();
    }
  });

  test("does not open what ends before it would", () => {
    const seal = newSeal();
    for (const length of [0, 5, NONCE_BYTES, SEAL_BYTES - 1]) {
      expect(seal.unseal(new Uint8Array(length), 0, length, POSITION), `${length} bytes`).toBeUndefined();
    }
  });

  test("binds the position, and then one after the other what stays readable", () => {
    const bytes = sealed(newSeal(), "what", 0x0102_0304_0506, HEADER, BOUND);
    const key = new Uint8Array(32).fill(9);
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const associated = Uint8Array.of(6, 5, 4, 3, 2, 1, 0, 0, ...HEADER, ...BOUND);
    const content = nodeCryptography.unseal(key, nonce, bytes.subarray(NONCE_BYTES), associated);
    expect(new TextDecoder().decode(content)).toBe("what");
  });

  test("binds as many bytes as there are", () => {
    const [long, other] = [new Uint8Array(5000), new Uint8Array(5000)];
    other[4999] = 1;
    const seal = newSeal();
    const bytes = sealed(seal, "what", POSITION, BOUND, long);
    expect(opened(seal, bytes, POSITION, BOUND, long)).toBe("what");
    expect(opened(seal, bytes, POSITION, BOUND, other)).toBeUndefined();
    // What was bound before is not bound any more.
    expect(opened(seal, sealed(seal, "short", POSITION, BOUND), POSITION, BOUND)).toBe("short");
  });

  test("draws the first part of its nonces once, and never goes back in the second", () => {
    const random = new Draws();
    const seal = newSeal(random);
    expect(random.count).toBe(0);
    const nonces = Array.from({ length: 300 }, () => sealed(seal, "x").subarray(0, NONCE_BYTES));
    expect(random.count).toBe(1);
    for (const [count, nonce] of nonces.entries()) {
      expect([...nonce.subarray(0, 8)]).toEqual([16, 17, 18, 19, 20, 21, 22, 23]);
      expect(readU32(nonce, 8)).toBe(count);
    }
    // Reading draws nothing.
    expect(opened(newSeal(random), sealed(seal, "x"))).toBe("x");
    expect(random.count).toBe(1);
  });

  test("forgets its key", () => {
    const key = new Uint8Array(32).fill(9);
    const seal = new FileSeal(machine().runtime, "one", HEADER, key);
    const bytes = sealed(seal, "what");
    seal.erase();
    expect(key).toEqual(new Uint8Array(32));
    expect(opened(seal, bytes)).toBeUndefined();
  });

  test("costs nothing where there is none", () => {
    expect([sealBytes(undefined), roomBefore(undefined)]).toEqual([0, 0]);
    expect([sealBytes(newSeal()), roomBefore(newSeal())]).toEqual([28, 12]);
  });
});
