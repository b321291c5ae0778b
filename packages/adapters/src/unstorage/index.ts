/**
 * A Fulmar store as a driver of unstorage.
 *
 * @packageDocumentation
 */
export { type FulmarDriver, type FulmarDriverOptions, fulmarDriver } from "./driver.js";
