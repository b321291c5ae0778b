export type { Cryptography } from "../base/runtime/interface.js";
export { nodeCryptography } from "../base/runtime/node/cryptography.js";
export * from "./histories/index.js";
export * from "./simulated/index.js";
