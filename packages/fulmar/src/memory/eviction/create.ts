import { ArcPolicy } from "./arc.js";
import { LfuPolicy } from "./lfu.js";
import { LruPolicy } from "./lru.js";
import type { Policy } from "./policy.js";
import { RandomPolicy } from "./random.js";
import { SievePolicy } from "./sieve.js";

/** The policies that keep an order of their own. */
export const POLICY_NAMES = ["lru", "lfu", "random", "arc", "sieve"] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/** An empty policy. `below` gives a uniform integer from 0 to less than its argument. */
export function createPolicy(name: PolicyName, below: (bound: number) => number): Policy {
  switch (name) {
    case "lru":
      return new LruPolicy();
    case "lfu":
      return new LfuPolicy();
    case "random":
      return new RandomPolicy(below);
    case "arc":
      return new ArcPolicy();
    case "sieve":
      return new SievePolicy();
  }
}
