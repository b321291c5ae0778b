/**
 * A Fulmar store as the storage of a Keyv.
 *
 * @packageDocumentation
 */
export { FulmarKeyv, type FulmarKeyvOptions } from "./keyv.js";
