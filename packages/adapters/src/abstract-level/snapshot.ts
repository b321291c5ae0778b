import { AbstractSnapshot } from "abstract-level";
import type { Snapshot } from "fulmar";
import { isObject, refusal } from "../check.js";

/** A snapshot of the store as Level hands it out. */
export class LevelSnapshot extends AbstractSnapshot {
  readonly state: Snapshot<Uint8Array>;

  constructor(state: Snapshot<Uint8Array>, options: object) {
    // The types leave out that Level's own constructor wants to know whom the snapshot belongs to.
    super(...([options] as unknown as []));
    this.state = state;
  }

  protected async _close(): Promise<void> {
    this.state.close();
  }
}

/** The state of the store that a `snapshot` option stands for; undefined without one. */
export function stateOf(snapshot: AbstractSnapshot | undefined): Snapshot<Uint8Array> | undefined {
  if (snapshot === undefined || snapshot === null) return undefined;
  if (isObject(snapshot) && snapshot instanceof LevelSnapshot) return snapshot.state;
  throw refusal("the snapshot option must be a snapshot of this database: take it with db.snapshot()");
}
