export { hermitageScenarios, type Scenario } from "./hermitage.js";
export type { DrivenStore, DrivenTransaction } from "./hermitage-forms.js";
export type { ScenarioIsolation } from "./hermitage-outcome.js";
export { isLinearizable, type RegisterOperation } from "./linearizability.js";
export { checkListAppend, type ListAppendOptions } from "./list-append.js";
export type { Anomaly, ListStep, ListTransaction } from "./types.js";
