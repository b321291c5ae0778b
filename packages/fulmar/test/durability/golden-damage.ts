import { SLOT_BYTES } from "../../src/durability/manifest.js";

/** The files of a directory by their path below its root. */
export type Files = Map<string, Uint8Array>;

/** A way in which a golden directory is damaged, and what comes of it. */
export interface Damage {
  readonly name: string;
  /** The golden directory that it is made of. */
  readonly base: "golden" | "golden-long" | "golden-compressed" | "golden-encrypted";
  readonly apply: (files: Files) => void;
  /** What opening fails with; undefined when it opens all the same. */
  readonly code: "CORRUPT" | "NOT_A_STORE" | "FORMAT_NEWER" | undefined;
  /** Keys that a repair cannot save. */
  readonly lost: readonly string[];
  /** Entries that are saved of the checkpoint; all unless given, if the file is there. */
  readonly checkpointSaved?: number;
  /** Keys that come back with an earlier value, since the newest is lost. */
  readonly older?: Readonly<Record<string, string>>;
}

const CHECKPOINT = "checkpoint/000000000001";
const LOG = "log/000000000001.log";

function bytesOf(files: Files, path: string): Uint8Array {
  const bytes = files.get(path);
  if (bytes === undefined) throw new Error(`the golden directory has no ${path}`);
  return bytes;
}

function flip(path: string, at: number | string): (files: Files) => void {
  return (files) => {
    const bytes = Uint8Array.from(bytesOf(files, path));
    const place = typeof at === "number" ? at : Buffer.from(bytes).indexOf(at);
    bytes[place < 0 ? bytes.length + place : place] ^= 0x10;
    files.set(path, bytes);
  };
}

function cut(path: string, length: number): (files: Files) => void {
  return (files) => files.set(path, bytesOf(files, path).slice(0, length));
}

function remove(...paths: string[]): (files: Files) => void {
  return (files) => {
    for (const path of paths) files.delete(path);
  };
}

function both(...steps: ((files: Files) => void)[]): (files: Files) => void {
  return (files) => {
    for (const step of steps) step(files);
  };
}

/** Raises the format number of a file and mends the checksum that covers it. */
function newer(
  path: string,
  headerBytes: number,
  slots: number,
  crc: (bytes: Uint8Array) => number,
): Damage["apply"] {
  return (files) => {
    const bytes = Uint8Array.from(bytesOf(files, path));
    for (let slot = 0; slot < slots; slot++) {
      const view = new DataView(bytes.buffer, slot * SLOT_BYTES);
      view.setUint32(8, view.getUint32(8, true) + 1, true);
      const covered = bytes.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + headerBytes);
      view.setUint32(headerBytes, crc(covered), true);
    }
    files.set(path, bytes);
  };
}

const SEALED_OR_PACKED: readonly Damage[] = [
  {
    base: "golden-compressed",
    name: "compressed-block",
    apply: flip(CHECKPOINT, 0xa0),
    code: "CORRUPT",
    lost: [],
    checkpointSaved: 0,
  },
  {
    base: "golden-compressed",
    name: "compressed-truncated",
    apply: cut(CHECKPOINT, 0xb0),
    code: "CORRUPT",
    lost: [],
    checkpointSaved: 0,
  },
  {
    base: "golden-encrypted",
    name: "encrypted-log-key",
    apply: flip(LOG, 100),
    code: "CORRUPT",
    lost: [],
    older: { k: "v1" },
  },
  {
    base: "golden-encrypted",
    name: "encrypted-log-record",
    apply: flip(LOG, -10),
    code: "CORRUPT",
    lost: [],
    older: { k: "v1" },
  },
  {
    base: "golden-encrypted",
    name: "encrypted-log-truncated",
    apply: (files) => cut(LOG, bytesOf(files, LOG).length - 20)(files),
    code: "CORRUPT",
    lost: [],
    older: { k: "v1" },
  },
  {
    base: "golden-encrypted",
    name: "encrypted-checkpoint-key",
    apply: flip(CHECKPOINT, 150),
    code: "CORRUPT",
    lost: [],
    checkpointSaved: 0,
  },
  {
    base: "golden-encrypted",
    name: "encrypted-checkpoint-block",
    apply: flip(CHECKPOINT, -100),
    code: "CORRUPT",
    lost: [],
    checkpointSaved: 0,
  },
  {
    base: "golden-encrypted",
    name: "encrypted-checkpoint-seal",
    apply: flip(CHECKPOINT, -50),
    code: "CORRUPT",
    lost: [],
  },
  {
    base: "golden-encrypted",
    name: "encrypted-both",
    apply: both(flip(LOG, 100), flip(CHECKPOINT, 150)),
    code: "CORRUPT",
    lost: ["k"],
    checkpointSaved: 0,
  },
];

/** Every way of damage that has a golden directory of its own. */
export function damages(crc: (bytes: Uint8Array) => number): readonly Damage[] {
  const short = { base: "golden" } as const;
  const long = { base: "golden-long" } as const;
  return [
    ...SEALED_OR_PACKED,
    { ...short, name: "manifest-slot", apply: flip("MANIFEST", 30), code: undefined, lost: [] },
    {
      ...short,
      name: "manifest-slots",
      apply: both(flip("MANIFEST", 30), flip("MANIFEST", SLOT_BYTES + 30)),
      code: "CORRUPT",
      lost: [],
    },
    { ...short, name: "manifest-truncated", apply: cut("MANIFEST", 100), code: "CORRUPT", lost: [] },
    { ...short, name: "manifest-missing", apply: remove("MANIFEST"), code: "NOT_A_STORE", lost: [] },
    {
      ...short,
      name: "manifest-newer",
      apply: newer("MANIFEST", SLOT_BYTES - 4, 2, crc),
      code: "FORMAT_NEWER",
      lost: [],
    },
    { ...short, name: "checkpoint-header", apply: flip(CHECKPOINT, 70), code: "CORRUPT", lost: [] },
    { ...short, name: "checkpoint-checksum", apply: flip(CHECKPOINT, 105), code: "CORRUPT", lost: [] },
    { ...short, name: "checkpoint-dictionary", apply: flip(CHECKPOINT, 110), code: "CORRUPT", lost: [] },
    {
      ...short,
      name: "checkpoint-block",
      apply: flip(CHECKPOINT, "merged"),
      code: "CORRUPT",
      lost: [],
      checkpointSaved: 0,
    },
    { ...short, name: "checkpoint-footer", apply: flip(CHECKPOINT, -3), code: "CORRUPT", lost: [] },
    {
      ...short,
      name: "checkpoint-truncated",
      apply: cut(CHECKPOINT, 200),
      code: "CORRUPT",
      lost: [],
      checkpointSaved: 0,
    },
    { ...short, name: "checkpoint-missing", apply: remove(CHECKPOINT), code: "CORRUPT", lost: [] },
    {
      ...short,
      name: "checkpoint-newer",
      apply: newer(CHECKPOINT, 104, 1, crc),
      code: "FORMAT_NEWER",
      lost: [],
    },
    { ...short, name: "log-header", apply: flip(LOG, 40), code: "CORRUPT", lost: [] },
    { ...short, name: "log-record", apply: flip(LOG, "v1"), code: "CORRUPT", lost: [] },
    {
      ...short,
      name: "log-last-record",
      apply: flip(LOG, "v2"),
      code: "CORRUPT",
      lost: [],
      older: { k: "v1" },
    },
    { ...short, name: "log-newer", apply: newer(LOG, 64, 1, crc), code: "FORMAT_NEWER", lost: [] },
    {
      ...short,
      name: "log-and-checkpoint",
      apply: both(flip(LOG, "empty key"), flip(CHECKPOINT, "empty key")),
      code: "CORRUPT",
      lost: [""],
      checkpointSaved: 0,
    },
    {
      ...long,
      name: "log-truncated",
      apply: cut("log/000000000003.log", 1200),
      code: "CORRUPT",
      lost: ["n7", "n8", "n9"],
    },
    {
      ...long,
      name: "segment-missing",
      apply: remove("log/000000000003.log"),
      code: "CORRUPT",
      lost: ["n6", "n7", "n8", "n9"],
    },
    {
      ...long,
      name: "segment-foreign",
      apply: (files) => {
        const bytes = Uint8Array.from(bytesOf(files, "log/000000000003.log"));
        bytes.fill(0xee, 32, 48);
        new DataView(bytes.buffer).setUint32(64, crc(bytes.subarray(0, 64)), true);
        files.set("log/000000000003.log", bytes);
      },
      code: "CORRUPT",
      lost: ["n6", "n7", "n8", "n9"],
    },
    {
      ...long,
      name: "foreign-file",
      apply: (files) => files.set("log/notes.txt", new TextEncoder().encode("not a file of Fulmar\n")),
      code: undefined,
      lost: [],
    },
    {
      ...long,
      name: "checkpoint-missing-long",
      apply: remove(CHECKPOINT),
      code: "CORRUPT",
      lost: ["n0", "n1"],
    },
  ];
}
