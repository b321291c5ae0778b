import { describe, expect, test } from "vitest";
import { codeOf, type FulmarError } from "../../../src/base/errors.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import { KEY_SECTION_BYTES, readKeySection, writeKeySection } from "../../../src/durability/key-section.js";
import { findSeal, Keyring, type KeySource, withKeyring } from "../../../src/durability/keyring.js";
import { machine } from "../harness.js";

const { runtime } = machine();
const { checksum } = runtime;
const ONE = new Uint8Array(32).fill(1);
const HEADER = Uint8Array.from([1, 2, 3]);

function source(changes: Partial<KeySource> = {}): KeySource {
  return {
    current: "one",
    refusesPlain: false,
    asFound: false,
    key: (id) => (id === "one" ? ONE : undefined),
    erase: () => undefined,
    ...changes,
  };
}

async function sectionOf(keyring: Keyring) {
  const created = await keyring.create("checkpoint", HEADER);
  const section = created && readKeySection(checksum, created.section);
  if (created === undefined || section === undefined) throw new Error("nothing was created");
  return { created, section };
}

async function codeFrom(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => "none",
    (error: unknown) => codeOf(error),
  );
}

/** The sealed form of one byte. */
function sealedByte({ seal }: Awaited<ReturnType<typeof sectionOf>>["created"]): Uint8Array {
  const bytes = new Uint8Array(29);
  seal.seal(bytes, 0, 1, 0);
  return bytes;
}

describe("a keyring", () => {
  test("gives each file a key of its own, which file and purpose lead to again", async () => {
    const keyring = new Keyring(runtime, source());
    const [first, second] = [await sectionOf(keyring), await sectionOf(keyring)];
    expect(first.section.salt).not.toEqual(second.section.salt);
    const bytes = sealedByte(first.created);
    const again = await new Keyring(runtime, source()).find("/a", first.section, "checkpoint", HEADER);
    expect(again.keyId).toBe("one");
    expect(again.header).toBe(HEADER);
    expect(again.unseal(bytes, 0, 29, 0)).toEqual(Uint8Array.of(0));
    const other = await keyring.find("/a", second.section, "checkpoint", HEADER);
    const asSegment = await keyring.find("/a", first.section, "log segment", HEADER);
    for (const wrong of [other, asSegment]) expect(wrong.unseal(bytes, 0, 29, 0)).toBeUndefined();
  });

  test("tells a key that is missing from a wrong one", async () => {
    const { section } = await sectionOf(new Keyring(runtime, source()));
    const find = (key: KeySource["key"]) =>
      codeFrom(new Keyring(runtime, source({ key })).find("/a", section, "checkpoint", HEADER));
    expect(await find(() => undefined)).toBe("ENCRYPTION_KEY_MISSING");
    expect(await find(() => null as unknown as undefined)).toBe("ENCRYPTION_KEY_MISSING");
    expect(await find(() => new Uint8Array(32))).toBe("ENCRYPTION_KEY_WRONG");
    expect(await find(() => ONE.slice(1))).toBe("ENCRYPTION_KEY_WRONG");
    expect(await find(() => new Uint8Array(33))).toBe("ENCRYPTION_KEY_WRONG");
    expect(await find(() => "1".repeat(32) as unknown as Uint8Array)).toBe("ENCRYPTION_KEY_WRONG");
    expect(await find(() => ONE)).toBe("none");
    expect(await codeFrom(findSeal(runtime, "/a", section, "checkpoint", HEADER))).toBe(
      "ENCRYPTION_KEY_MISSING",
    );
    for (const key of [new Uint8Array(31), new Uint8Array(0), "x".repeat(32) as unknown as Uint8Array]) {
      const short = new Keyring(runtime, source({ key: () => key }));
      expect(await codeFrom(short.create("checkpoint", HEADER))).toBe("ENCRYPTION_KEY_WRONG");
    }
    const ring = new Keyring(runtime, source({ current: "two" }));
    expect(await codeFrom(ring.create("checkpoint", HEADER))).toBe("ENCRYPTION_KEY_MISSING");
  });

  test("names the file and the key", async () => {
    const { section } = await sectionOf(new Keyring(runtime, source()));
    const detailsOf = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => undefined,
        (error: FulmarError) => error.details,
      );
    const none = new Keyring(runtime, source({ key: () => undefined }));
    const wrong = new Keyring(runtime, source({ key: () => new Uint8Array(32) }));
    const short = new Keyring(runtime, source({ key: () => new Uint8Array(3) }));
    const down = new Keyring(runtime, source({ key: () => Promise.reject(new Error("down")) }));
    const [file, keyId] = ["/a", "one"];
    expect(await detailsOf(none.create("checkpoint", HEADER))).toMatchObject({ keyId });
    expect(await detailsOf(none.find(file, section, "checkpoint", HEADER))).toMatchObject({ file, keyId });
    expect(await detailsOf(wrong.find(file, section, "checkpoint", HEADER))).toMatchObject({ file, keyId });
    expect(await detailsOf(findSeal(runtime, file, section, "checkpoint", HEADER))).toMatchObject({
      file,
      keyId,
    });
    for (const ring of [short, down]) {
      expect(await detailsOf(ring.create("checkpoint", HEADER))).toMatchObject({ keyId });
    }
    const ringed = withKeyring(runtime, new Keyring(runtime, source()));
    const seal = await findSeal(ringed, file, section, "checkpoint", HEADER);
    expect(seal.keyId).toBe(keyId);
  });

  test("names a key on one line, whatever a damaged file calls it", async () => {
    const { section } = await sectionOf(new Keyring(runtime, source()));
    const named = { ...section, keyId: 'a\n"b\u001b' };
    const found = new Keyring(runtime, source()).find("/a", named, "checkpoint", HEADER);
    await expect(found).rejects.toThrow('"a\\n\\"b\\u001b"');
  });

  test("asks for a key once, and again for what it could not get", async () => {
    const asked: string[] = [];
    let works = false;
    const key = async (id: string): Promise<Uint8Array> => {
      asked.push(id);
      if (!works) throw new Error("down");
      return ONE;
    };
    const keyring = new Keyring(runtime, source({ key }));
    expect(await codeFrom(keyring.create("checkpoint", HEADER))).toBe("ENCRYPTION_KEY_MISSING");
    works = true;
    await Promise.all([keyring.create("checkpoint", HEADER), keyring.create("log segment", HEADER)]);
    await keyring.create("checkpoint", HEADER);
    expect(asked).toEqual(["one", "one"]);
  });

  test("keeps copies, and overwrites them in the end", async () => {
    const given = ONE.slice();
    let erased = 0;
    const kept: Uint8Array[] = [];
    const cryptography = {
      ...nodeCryptography,
      deriveKey(...parts: Parameters<typeof nodeCryptography.deriveKey>) {
        kept.push(parts[0]);
        return nodeCryptography.deriveKey(...parts);
      },
    };
    const keyring = new Keyring(
      { ...runtime, cryptography },
      source({ key: () => given, erase: () => erased++ }),
    );
    const { section } = await sectionOf(keyring);
    given.fill(7);
    await keyring.find("/a", section, "checkpoint", HEADER);
    keyring.erase();
    await Promise.resolve();
    expect(erased).toBe(1);
    expect(kept.length).toBeGreaterThan(2);
    for (const key of kept) expect(key).toEqual(new Uint8Array(32));
    expect(given).toEqual(new Uint8Array(32).fill(7));
  });

  test("takes plain files unless it refuses them, and writes them if it has no key", async () => {
    const keyring = new Keyring(runtime, source({ current: null }));
    keyring.acceptPlain("/a");
    expect([keyring.currentId, keyring.refusesPlain]).toEqual([undefined, false]);
    expect(await keyring.create("checkpoint", HEADER)).toBeUndefined();
    const strict = new Keyring(runtime, source({ refusesPlain: true }));
    expect(strict.refusesPlain).toBe(true);
    const refused = expect.objectContaining({ code: "NOT_ENCRYPTED", details: { file: "/a" } });
    expect(() => strict.acceptPlain("/a")).toThrow(refused);
  });

  test("goes on as what was found only if it was told to", async () => {
    const keyring = new Keyring(runtime, source());
    keyring.goOnAs("two");
    keyring.goOnAs(undefined);
    expect(keyring.currentId).toBe("one");
    const guest = new Keyring(runtime, source({ asFound: true }));
    expect(guest.currentId).toBe("one");
    guest.goOnAs(undefined);
    expect(guest.currentId).toBeUndefined();
    expect(await guest.create("checkpoint", HEADER)).toBeUndefined();
    guest.goOnAs("two");
    expect(guest.currentId).toBe("two");
  });

  test("lets the source know which key a file fits", async () => {
    const { section } = await sectionOf(new Keyring(runtime, source()));
    const tried: boolean[] = [];
    const key: KeySource["key"] = (_id, fits) => {
      tried.push(fits(new Uint8Array(32)), fits(ONE));
      return ONE;
    };
    const keyring = new Keyring(runtime, source({ key }));
    await keyring.find("/a", section, "checkpoint", HEADER);
    expect(tried).toEqual([false, true]);
    // A new file has no salt yet: any key is its own.
    await new Keyring(runtime, source({ key })).create("checkpoint", HEADER);
    expect(tried.slice(2)).toEqual([true, true]);
  });

  test("goes with the surroundings of a directory", () => {
    const keyring = new Keyring(runtime, source());
    expect(withKeyring(runtime, undefined)).toBe(runtime);
    expect(withKeyring(runtime, keyring)).toEqual({ ...runtime, keyring });
  });
});

describe("a key section", () => {
  const section = { salt: new Uint8Array(16).fill(3), check: new Uint8Array(16).fill(4), keyId: "clé" };

  test("is read back, behind whatever length of an id", () => {
    for (const keyId of ["a", "clé", "\ufeffid", "x".repeat(64)]) {
      const bytes = writeKeySection(checksum, { ...section, keyId });
      expect(bytes.length).toBe(KEY_SECTION_BYTES);
      expect(readKeySection(checksum, bytes)).toEqual({ ...section, keyId });
      expect(readKeySection(checksum, new Uint8Array([...bytes, 1, 2]))).toEqual({ ...section, keyId });
    }
  });

  test("is none when a byte is another one, or when it is cut off", () => {
    const bytes = writeKeySection(checksum, section);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] ^= 1;
      expect(readKeySection(checksum, changed), `byte ${at}`).toBeUndefined();
    }
    expect(readKeySection(checksum, bytes.subarray(0, -1))).toBeUndefined();
    expect(readKeySection(checksum, new Uint8Array(0))).toBeUndefined();
  });

  test("is none with an id of no length, of too much, or that is no text, though the checksum is right", () => {
    const mended = (change: (bytes: Uint8Array, view: DataView) => void) => {
      const bytes = writeKeySection(checksum, section);
      const view = new DataView(bytes.buffer);
      change(bytes, view);
      view.setUint32(100, checksum.crc32(bytes, 0, 100, 0), true);
      return readKeySection(checksum, bytes);
    };
    expect(mended((_bytes, view) => view.setUint32(32, 0, true))).toBeUndefined();
    expect(mended((_bytes, view) => view.setUint32(32, 65, true))).toBeUndefined();
    expect(mended((_bytes, view) => view.setUint32(32, 0xffff_ffff, true))).toBeUndefined();
    // One byte further stands the checksum, which may look like text.
    for (let salt = 0; salt < 40; salt++) {
      const longer = mended((bytes, view) => {
        bytes.fill(0x61, 36, 100);
        bytes[0] = salt;
        view.setUint32(32, 65, true);
      });
      expect(longer).toBeUndefined();
    }
    expect(mended((bytes) => bytes.fill(0xff, 36, 40))).toBeUndefined();
    expect(mended((_bytes, view) => view.setUint32(32, 64, true))?.keyId).toHaveLength(63);
    expect(mended(() => undefined)).toEqual(section);
  });
});
