import type { Store } from "../../../src/index.js";
import type { Coverage } from "../../../src/record/coverage.js";
import { portOf } from "../../../src/store/port.js";
import type { SimulatedStorage } from "../../../src/testing/index.js";
import { must } from "./machine.js";
import { candidates, type Expectation, readable, type State } from "./oracle.js";

/** How the machine went down. */
export type End = "kill" | "power";

/** What a store shows that was just opened. */
export interface Found {
  readonly version: number;
  readonly digest: string;
  readonly nextSeq: number;
  /** Its entries as JSON. */
  readonly shown: string;
  readonly covered: Coverage;
  readonly wallMs: number;
}

/** What is true of every state of a program. */
export type Holds = (entries: ReadonlyMap<string, string>) => void;

/** Looks at a store, and examines what no promise to a program is needed for. */
export function look(db: Store<string>, storage: SimulatedStorage): Found {
  portOf(db).engine.verify();
  return {
    version: db.version,
    digest: db.digest(),
    nextSeq: db.status().nextSeq,
    shown: JSON.stringify([...db.list()].map(({ key, value }) => [key, value])),
    covered: portOf(db).coverage().copy(),
    wallMs: storage.clock.wallMs(),
  };
}

/** I1, I2, I3 of what was found; returns the state that it shows. */
export function judge(found: Found, expectation: Expectation, end: End, holds: Holds | undefined): State {
  const least = end === "kill" ? expectation.keptByKill : expectation.keptByPower;
  must(found.version >= least, `I1: version ${found.version} is there, ${least} was acknowledged`);
  const state = candidates(expectation, found.version).find(
    (each) => readable(each, found.wallMs) === found.shown,
  );
  must(state !== undefined, `I2, I3: no prefix of the commits shows ${found.shown.slice(0, 300)}`);
  holds?.(new Map(JSON.parse(found.shown) as [string, string][]));
  if (expectation.past !== undefined) judgeCoverage(found, expectation);
  return state;
}

/** The frontier of another writer is where the commits that were found leave it: it claims nothing that is lost. */
function judgeCoverage(found: Found, { past = [], commits }: Expectation): void {
  const frontiers = new Map<string, number>();
  for (const { foreign, version = 0 } of [...past, ...commits]) {
    if (foreign === undefined) continue;
    const before = frontiers.get(foreign.origin) ?? 0;
    frontiers.set(foreign.origin, version <= found.version ? Math.max(before, foreign.seq) : before);
  }
  for (const [origin, upTo] of frontiers) {
    const covered = found.covered.of(origin).upTo;
    must(covered === upTo, `I2: version ${found.version} claims ${covered} of a peer, and has ${upTo}`);
  }
}
