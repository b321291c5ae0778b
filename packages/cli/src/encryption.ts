import { readFile } from "node:fs/promises";
import type { Encryption } from "fulmar";
import { CommandError, codeOf } from "./errors.js";
import type { Io } from "./io.js";
import { parseBase64 } from "./keys.js";

const KEY_BYTES = 32;
/** Where a key may stand beside `--key-file`; arguments would show it in the list of processes. */
export const KEY_VARIABLE = "FULMAR_KEY";

/**
 * The keys of encrypted files: those of the files, or else the one in the environment. The first is for new stores. One
 * that is there stays as it is: its own program would not open what a command made of it. Undefined without any.
 */
export async function encryptionOf(files: readonly string[], io: Io): Promise<Encryption | undefined> {
  const keys: Uint8Array[] = [];
  for (const file of files) keys.push(parseKeyFile(await readKeyFile(file), `the file ${file}`));
  const text = io.environment[KEY_VARIABLE];
  if (keys.length === 0 && text !== undefined && text !== "") {
    keys.push(parseKeyFile(new TextEncoder().encode(text), `the variable ${KEY_VARIABLE}`));
  }
  const [key, ...previousKeys] = keys;
  return key === undefined ? undefined : { key, previousKeys, asFound: true };
}

async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CommandError("USAGE", `cannot read the key file ${path} (${codeOf(cause)})`);
  }
}

/** 32 bytes as they are, or as hexadecimal digits or base64. What is wrong is said without showing it. */
function parseKeyFile(bytes: Uint8Array, where: string): Uint8Array {
  if (bytes.length === KEY_BYTES) return bytes;
  const text = new TextDecoder().decode(bytes).trim();
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? new Uint8Array(Buffer.from(text, "hex")) : parseBase64(text);
  if (key?.length === KEY_BYTES) return key;
  throw new CommandError(
    "USAGE",
    `${where} holds no key: it needs 32 bytes, as such, in hexadecimal or base64`,
  );
}
