import { FulmarTypeError } from "../errors.js";
import { isRevoked } from "../options.js";
import type { Runtime } from "./interface.js";

const PARTS = [
  "clock",
  "timers",
  "random",
  "checksum",
  "cryptography",
  "compression",
  "diagnostics",
  "fileSystem",
  "transport",
  "threads",
  "finalization",
] as const satisfies readonly (keyof Runtime)[];

/** The surroundings that an application gave, or Node's. @throws INVALID_ARGUMENT if they are not whole */
export function runtimeOf(given: Runtime | undefined, usual: () => Runtime): Runtime {
  if (given === undefined) return usual();
  const isWhole = isHolder(given) && PARTS.every((part) => isHolder(given[part]));
  if (isWhole) return given;
  throw new FulmarTypeError("INVALID_ARGUMENT", `runtime must have ${PARTS.join(", ")}`);
}

function isHolder(given: unknown): boolean {
  return (typeof given === "object" || typeof given === "function") && given !== null && !isRevoked(given);
}
