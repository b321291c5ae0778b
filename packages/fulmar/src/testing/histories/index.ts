export { type DrivenStore, type DrivenTransaction, hermitageScenarios, type Scenario } from "./hermitage.js";
export { isLinearizable, type RegisterOperation } from "./linearizability.js";
export { checkListAppend, type ListAppendOptions } from "./list-append.js";
export type { Anomaly, ListStep, ListTransaction } from "./types.js";
