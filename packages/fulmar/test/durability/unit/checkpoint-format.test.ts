import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  addBlockCrc,
  BLOCK_HEAD_BYTES,
  CHECKPOINT_HEADER_BYTES,
  type CheckpointHeader,
  closeBlock,
  FOOTER_BYTES,
  isCheckpointMagic,
  olderCheckpointFormat,
  readBlockHead,
  readCheckpointHeader,
  readDictionary,
  readFooter,
  writeCheckpointHead,
  writeFooter,
} from "../../../src/durability/checkpoint-format.js";

const U53_MAX = Number.MAX_SAFE_INTEGER;
const { crc32 } = nodeChecksum;
const IDS = ["0".repeat(31).concat("1"), "0".repeat(31).concat("2")];
const ID_BYTES = [1, 2].map((last) => Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? last : 0)));
const COVERAGE = [
  { origin: 1, coverage: { upTo: 9, holes: [] } },
  { origin: 2, coverage: { upTo: 1, holes: [] } },
];
const STATE = {
  number: U53_MAX - 1,
  hadPeers: false,
  isBackup: false,
  compressed: false,
  salt: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  storeId: "a1".repeat(16),
  incarnation: "b2".repeat(16),
  version: U53_MAX - 2,
  seq: U53_MAX - 3,
  hlc: U53_MAX - 4,
};

const written = (state = STATE): ReturnType<typeof writeCheckpointHead> =>
  writeCheckpointHead(nodeChecksum, state, ID_BYTES, COVERAGE);
const read = (bytes: Uint8Array): ReturnType<typeof readCheckpointHeader> =>
  readCheckpointHeader(nodeChecksum, bytes);

/** The first bytes that `make` makes whose last is 0, as what is read behind an end may be. */
function endingInZero(bytes: number, make: (number: number) => Uint8Array): Uint8Array {
  for (let number = 1; ; number++) {
    const made = make(number).subarray(0, bytes);
    if (made[bytes - 1] === 0) return made;
  }
}

function resealed(change: (bytes: Uint8Array) => void, state = STATE): Uint8Array {
  const { bytes } = written(state);
  change(bytes);
  writeU32(bytes, 104, crc32(bytes, 0, 104, 0));
  return bytes;
}

describe("the header", () => {
  test("gives back every field", () => {
    for (let flags = 0; flags < 8; flags++) {
      const kind = { hadPeers: (flags & 1) > 0, isBackup: (flags & 2) > 0, compressed: (flags & 4) > 0 };
      const { bytes, crc } = written({ ...STATE, ...kind });
      expect(readU32(bytes, 12)).toBe(flags);
      expect(read(bytes)).toEqual({
        ...STATE,
        ...kind,
        sealed: false,
        originCount: 2,
        coverageCount: 2,
        dictionaryBytes: bytes.length - CHECKPOINT_HEADER_BYTES - 4,
        crc,
      });
      expect(crc).toBe(crc32(bytes, 0, 104, 0));
    }
  });

  test("keeps its salt when the bytes that it was read from change", () => {
    const { bytes } = written();
    const found = read(bytes);
    bytes.fill(0);
    expect(found).toMatchObject({ salt: STATE.salt });
  });

  test("with any byte changed, or cut off, is damaged", () => {
    for (let at = 0; at < CHECKPOINT_HEADER_BYTES; at++) {
      const { bytes } = written();
      bytes[at] ^= 1;
      expect(read(bytes), `byte ${at}`).toBeUndefined();
    }
    const whole = endingInZero(CHECKPOINT_HEADER_BYTES, (number) => written({ ...STATE, number }).bytes);
    expect(read(whole)).toBeDefined();
    expect(read(whole.subarray(0, CHECKPOINT_HEADER_BYTES - 1))).toBeUndefined();
  });

  test("of another kind of file is none, whatever its checksum says", () => {
    for (let at = 0; at < 8; at++) {
      const bytes = resealed((changed) => {
        changed[at] ^= 1;
      });
      expect(read(bytes)).toBeUndefined();
      expect(isCheckpointMagic(bytes)).toBe(false);
    }
    expect(isCheckpointMagic(written().bytes)).toBe(true);
  });

  test("tells the number of an older format, and nothing else of what is damaged, newer or another file", () => {
    const older = (bytes: Uint8Array): number | undefined => olderCheckpointFormat(nodeChecksum, bytes);
    const inFormat =
      (format: number, magic = 0) =>
      (bytes: Uint8Array): void => {
        writeU32(bytes, 8, format);
        bytes[0] ^= magic;
      };
    const whole = endingInZero(CHECKPOINT_HEADER_BYTES, (number) =>
      resealed(inFormat(0), { ...STATE, number }),
    );
    expect(older(whole)).toBe(0);
    expect(older(whole.subarray(0, -1))).toBeUndefined();
    for (let at = 0; at < CHECKPOINT_HEADER_BYTES; at++) {
      const changed = whole.map((byte, i) => (i === at ? byte ^ 1 : byte));
      expect(older(changed), `byte ${at}`).toBeUndefined();
    }
    expect(older(resealed(inFormat(0, 1)))).toBeUndefined();
    for (const format of [1, 2]) expect(older(resealed(inFormat(format)))).toBeUndefined();
  });

  test("with a flag that is not known is of a newer format", () => {
    for (let flag = 4; flag < 32; flag++) {
      expect(read(resealed((bytes) => writeU32(bytes, 12, 2 ** flag + 1)))).toBe(1);
    }
  });

  test("of a newer format is its number; of an older one, or with a number that is not exact, damaged", () => {
    expect(read(resealed((bytes) => writeU32(bytes, 8, 2)))).toBe(2);
    expect(read(resealed((bytes) => writeU32(bytes, 8, 0)))).toBeUndefined();
    for (const at of [16, 64, 72, 80, 96]) {
      const bytes = resealed((changed) => {
        changed[at + 6] = 32;
      });
      expect(read(bytes), `at ${at}`).toBeUndefined();
    }
  });
});

describe("the dictionary", () => {
  const { bytes } = written();
  const header = read(bytes) as CheckpointHeader;
  const dictionary = bytes.subarray(CHECKPOINT_HEADER_BYTES);
  const readWith = (
    change: Partial<CheckpointHeader>,
    from = dictionary,
  ): ReturnType<typeof readDictionary> => readDictionary(nodeChecksum, { ...header, ...change }, from);

  /** A dictionary whose checksum is right, with a header that says something else of it. */
  function claimed(
    change: Partial<CheckpointHeader>,
    content: Uint8Array,
  ): ReturnType<typeof readDictionary> {
    const sealed = new Uint8Array(content.length + 4);
    sealed.set(content);
    writeU32(sealed, content.length, crc32(content, 0, content.length, header.crc));
    return readWith({ ...change, dictionaryBytes: content.length }, sealed);
  }
  const content = dictionary.subarray(0, header.dictionaryBytes);

  test("gives back identities and coverage, also in front of other bytes", () => {
    const expected = { ids: IDS, coverage: COVERAGE };
    expect(readWith({})).toEqual(expected);
    expect(readWith({}, Uint8Array.of(...dictionary, 1, 2))).toEqual(expected);
    expect(claimed({}, content)).toEqual(expected);
  });

  test("with any byte changed, cut off or of another header is damaged", () => {
    for (let at = 0; at < dictionary.length; at++) {
      const changed = dictionary.slice();
      changed[at] ^= 1;
      expect(readWith({}, changed), `byte ${at}`).toBeUndefined();
    }
    expect(readWith({}, dictionary.subarray(0, -1))).toBeUndefined();
    expect(readWith({ crc: header.crc + 1 })).toBeUndefined();
  });

  test("cut off where its checksum is zero is damaged", () => {
    const head = (number: number): Uint8Array => written({ ...STATE, number }).bytes;
    const whole = endingInZero(bytes.length, head);
    const own = read(whole) as CheckpointHeader;
    const rest = whole.subarray(CHECKPOINT_HEADER_BYTES);
    expect(readDictionary(nodeChecksum, own, rest)).toBeDefined();
    expect(readDictionary(nodeChecksum, own, rest.subarray(0, -1))).toBeUndefined();
  });

  test("that does not hold what the header counts is damaged", () => {
    expect(claimed({ originCount: 3 }, content)).toBeUndefined();
    expect(claimed({ originCount: 1000 }, content)).toBeUndefined();
    expect(claimed({ coverageCount: 1 }, content)).toBeUndefined();
    expect(claimed({ coverageCount: 3 }, content)).toBeUndefined();
    expect(claimed({}, Uint8Array.of(...content, 0))).toBeUndefined();
    expect(claimed({ coverageCount: 0 }, content.subarray(0, 32))).toEqual({ ids: IDS, coverage: [] });
    expect(claimed({ coverageCount: 0 }, content.subarray(0, 31))).toBeUndefined();
  });
});

test("a block has a head that its tail's checksum goes on from", () => {
  const at = 3;
  const bytes = new Uint8Array(at + BLOCK_HEAD_BYTES + 5 + 5).fill(9);
  const block = { payloadLength: 5, packed: false, entryCount: 0xfffffffe, index: 0xfffffffd };
  const crc = closeBlock(nodeChecksum, bytes, at, block, 77);
  expect([0, 4, 8].map((field) => readU32(bytes, at + field))).toEqual([5, 0xfffffffe, 0xfffffffd]);
  const headCrc = crc32(bytes, at, at + 12, 77);
  expect(readU32(bytes, at + 12)).toBe(headCrc);
  expect(crc).toBe(crc32(Uint8Array.of(9, 9, 9, 9, 9), 0, 5, headCrc));
  expect(readU32(bytes, at + 21)).toBe(crc);
  expect([bytes[at - 1], bytes[at + 25]]).toEqual([9, 9]);
  expect(readBlockHead(bytes, at)).toEqual({ ...block, crc: headCrc });
  closeBlock(nodeChecksum, bytes, at, { ...block, packed: true }, 77);
  expect(readU32(bytes, at)).toBe(0x80000005);
  expect(readBlockHead(bytes, at)).toMatchObject({ payloadLength: 5, packed: true });
  writeU32(bytes, at, 0xffffffff);
  expect(readBlockHead(bytes, at)).toMatchObject({ payloadLength: 0x7fffffff, packed: true });
});

describe("the footer", () => {
  const footer = {
    blockCount: U53_MAX,
    entryCount: U53_MAX - 1,
    fileBytes: U53_MAX - 2,
    blocksCrc: 0xdeadbeef,
  };
  const make = (blockCount = U53_MAX): Uint8Array => writeFooter(nodeChecksum, { ...footer, blockCount }, 77);
  const find = (bytes: Uint8Array, seed = 77): ReturnType<typeof readFooter> =>
    readFooter(nodeChecksum, bytes, seed);

  test("gives back every field", () => {
    expect(make().length).toBe(FOOTER_BYTES);
    expect(find(make())).toEqual({ ...footer, crc: crc32(make(), 0, 36, 77) });
  });

  test("with any byte changed, cut off or of another header is none", () => {
    for (let at = 0; at < FOOTER_BYTES; at++) {
      const bytes = make();
      bytes[at] ^= 1;
      expect(find(bytes), `byte ${at}`).toBeUndefined();
    }
    const whole = endingInZero(FOOTER_BYTES, make);
    expect(find(whole)).toBeDefined();
    expect(find(whole.subarray(0, FOOTER_BYTES - 1))).toBeUndefined();
    expect(find(make(), 78)).toBeUndefined();
  });

  test("of another kind, or with a number that is not exact, is none, whatever its checksum says", () => {
    const changes = [0, 1, 2, 3, 4, 5, 6, 7].map((at) => [at, 1]);
    for (const [at, value] of [...changes, [14, 32], [22, 32], [30, 32]]) {
      const bytes = make();
      bytes[at] ^= value;
      if (at > 7) bytes[at] = 32;
      writeU32(bytes, 36, crc32(bytes, 0, 36, 77));
      expect(find(bytes), `byte ${at}`).toBeUndefined();
    }
  });
});

test("the checksum over the blocks goes on with each, in their order", () => {
  const scratch = new Uint8Array(8);
  const both = Uint8Array.of(4, 3, 2, 1, 8, 7, 6, 5);
  const one = addBlockCrc(nodeChecksum, scratch, 0, 0x01020304);
  expect(addBlockCrc(nodeChecksum, scratch, one, 0x05060708)).toBe(crc32(both, 0, 8, 0));
});
