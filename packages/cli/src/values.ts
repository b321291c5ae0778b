import { CommandError } from "./errors.js";
import { oneLine, parseBase64, toBase64 } from "./keys.js";

/** The codecs that the command line can choose from, which are those of the library by name. */
export const CODECS = ["json", "text", "bytes", "bigint"] as const;

export type CodecName = (typeof CODECS)[number];

/** A value from the command line: JSON, the text itself, base64, or decimal digits. */
export function parseValue(text: string, codec: CodecName): unknown {
  if (codec === "text") return text;
  if (codec === "bytes") {
    const bytes = parseBase64(text);
    if (bytes === undefined)
      throw new CommandError("INVALID_VALUE", "the value is not base64, which --codec bytes needs");
    return bytes;
  }
  if (codec === "bigint") {
    if (/^-?[0-9]+$/.test(text.trim())) return BigInt(text.trim());
    throw new CommandError("INVALID_VALUE", "the value is no integer, which --codec bigint needs");
  }
  try {
    return JSON.parse(text);
  } catch {
    const quoted = JSON.stringify(text);
    throw new CommandError(
      "INVALID_VALUE",
      `the value is not JSON: write strings as '${quoted}', or use --codec text`,
    );
  }
}

/** A value from standard input: as bytes just as they are, else as {@link parseValue}. */
export function parseInput(bytes: Uint8Array, codec: CodecName): unknown {
  if (codec === "bytes") return bytes;
  try {
    return parseValue(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), codec);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError("INVALID_VALUE", "standard input is not UTF-8: use --codec bytes");
  }
}

/** A value as part of a JSON document. */
export function valueToJson(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array ? toBase64(value) : value;
}

/** A value as text, exactly: what {@link parseValue} reads back. */
export function valueToText(value: unknown, codec: CodecName): string {
  if (codec === "text" || codec === "bigint") return String(value);
  return value instanceof Uint8Array ? toBase64(value) : JSON.stringify(value);
}

/** The same for one line of a list or of a terminal. */
export function valueToLine(value: unknown, codec: CodecName): string {
  return oneLine(valueToText(value, codec));
}
