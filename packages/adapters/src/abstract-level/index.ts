/**
 * A Fulmar store as an `abstract-level` database.
 *
 * @packageDocumentation
 */
export { FulmarLevel } from "./level.js";
export type {
  FulmarBatchOptions,
  FulmarClearOptions,
  FulmarDelOptions,
  FulmarLevelOptions,
  FulmarPutOptions,
} from "./options.js";
