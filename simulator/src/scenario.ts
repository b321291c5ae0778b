import type { LinkOptions, Prng } from "fulmar/testing";

/** What one seed expands to. Each seed turns a random part of the faults on: a swarm finds more than all at once. */
export interface Scenario {
  readonly nodes: number;
  /** `mesh`: discovery connects everybody. `chain`: each node knows its neighbours only. */
  readonly topology: "mesh" | "chain";
  readonly writes: number;
  readonly powerCuts: number;
  readonly kills: number;
  readonly partitions: number;
  readonly fullDisks: number;
  readonly clockJumps: number;
  readonly sealed: boolean;
  readonly bootstrap: "atomic" | "progressive";
  readonly diskProfile: "posix-strict" | "ext4-like";
  readonly sectorAtomic: boolean;
  /** Time of a disk call, in ms: a slow disk gives crashes much to take. */
  readonly diskLatencyMs: { readonly least: number; readonly most: number };
  /** Machines that lose their disk for good and come back empty. */
  readonly wipes: number;
  /** Longest value, in bytes. */
  readonly valueBytesMax: number;
  readonly link: LinkOptions;
  /** Wall clock offset of each node, in ms. */
  readonly clockOffsetsMs: readonly number[];
  readonly pageBytes: number;
  readonly segmentBytes: number;
  readonly checkpointCommits: number;
  readonly pairs: number;
  readonly singles: number;
  /** Virtual duration of the part with faults, in ms. */
  readonly durationMs: number;
  /** What is larger than two values is merged in parts, hidden until they are all there, as large pulls are. */
  readonly mergesInParts: boolean;
  /** How long a turn of a machine's event loop takes: what comes in parts can be met in the middle. */
  readonly turnMs: number;
}

export function scenarioOf(prng: Prng): Scenario {
  const scenario = faultsOf(prng);
  const mergesInParts = prng.chance(0.5);
  return { ...scenario, mergesInParts, turnMs: mergesInParts ? 1 + prng.below(20) : 0.001 };
}

function faultsOf(prng: Prng): Omit<Scenario, "mergesInParts" | "turnMs"> {
  const nodes = 3;
  return {
    nodes,
    topology: prng.chance(0.3) ? "chain" : "mesh",
    writes: 220 + prng.below(200),
    powerCuts: 3 + prng.below(3),
    kills: prng.below(3),
    partitions: 2 + prng.below(3),
    fullDisks: prng.below(3),
    clockJumps: prng.below(3),
    sealed: prng.chance(0.3),
    bootstrap: prng.chance(0.3) ? "progressive" : "atomic",
    diskProfile: prng.chance(0.6) ? "posix-strict" : "ext4-like",
    sectorAtomic: prng.chance(0.5),
    diskLatencyMs: prng.pick([
      { least: 0.05, most: 1 },
      { least: 1, most: 30 },
      { least: 5, most: 200 },
    ]),
    wipes: prng.below(3),
    valueBytesMax: prng.pick([50, 500, 8000]),
    link: {
      delayLeastMs: 1,
      delayMostMs: 1 + prng.below(60),
      loss: sometimes(prng, 0.1),
      duplicate: sometimes(prng, 0.1),
      reorder: sometimes(prng, 0.2),
    },
    clockOffsetsMs: Array.from({ length: nodes }, () => prng.below(40_000) - 20_000),
    pageBytes: prng.chance(0.5) ? 1024 : 65_536,
    segmentBytes: 65_536,
    checkpointCommits: prng.chance(0.5) ? 50 : 1000,
    pairs: 1 + prng.below(10),
    singles: 1 + prng.below(20),
    durationMs: 20_000 + prng.below(40_000),
  };
}

function sometimes(prng: Prng, most: number): number {
  return prng.chance(0.6) ? prng.fraction() * most : 0;
}
