/**
 * CRC-32/IEEE (reflected polynomial EDB88320, as zlib), "slicing by 8" after Kounavis and Berry:
 * eight table look-ups for eight bytes break the dependency of one byte on the one before.
 */
const TABLES = buildTables();

function buildTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    tables[0][n] = c >>> 0;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 8; t++) {
      const before = tables[t - 1][n];
      tables[t][n] = (tables[0][before & 255] ^ (before >>> 8)) >>> 0;
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/**
 * The CRC-32 of `bytes[from, to)`, continued from `seed` (the CRC of what came before; 0 at the start).
 */
export function crc32(bytes: Uint8Array, from = 0, to = bytes.length, seed = 0): number {
  let c = ~seed;
  let i = from;
  for (const end = to - 7; i < end; i += 8) {
    const low = c ^ (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    c =
      T7[low & 255] ^
      T6[(low >>> 8) & 255] ^
      T5[(low >>> 16) & 255] ^
      T4[low >>> 24] ^
      T3[bytes[i + 4]] ^
      T2[bytes[i + 5]] ^
      T1[bytes[i + 6]] ^
      T0[bytes[i + 7]];
  }
  for (; i < to; i++) c = T0[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}
