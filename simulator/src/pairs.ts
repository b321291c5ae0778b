import type { CommitEvent, Key, Store } from "fulmar";
import { fail, stampName } from "./oracle.js";

/** Two keys that are only ever written together: nobody anywhere may see one without the other. */
export function leftKey(pair: number): Key {
  return ["left", pair];
}

export function rightKey(pair: number): Key {
  return ["right", pair];
}

/** What a reader sees at this moment. */
export function checkPairs(db: Store<string>, pairs: number, where: string): void {
  for (let pair = 0; pair < pairs; pair++) {
    const left = db.entry(leftKey(pair), { tombstones: true });
    const right = db.entry(rightKey(pair), { tombstones: true });
    const [a, b] = [left, right].map((entry) => (entry === undefined ? "nothing" : stampName(entry.stamp)));
    if (a !== b) fail(`${where} shows half a batch: left ${pair} at ${a}, right at ${b}`);
    if (left?.value !== right?.value) fail(`${where} shows different values of pair ${pair}`);
  }
}

/** What a watcher is shown. */
export function checkEvent(event: CommitEvent<string>, where: string): void {
  const sides = { left: new Map<number, string>(), right: new Map<number, string>() };
  for (const change of event.changes) {
    const [side, pair] = change.key as ["left" | "right" | "single", number];
    if (side === "left" || side === "right") sides[side].set(pair, stampName(change.stamp));
  }
  for (const [one, other] of [
    [sides.left, sides.right],
    [sides.right, sides.left],
  ]) {
    for (const [pair, stamp] of one) {
      if (other.get(pair) !== stamp)
        fail(`a watcher of ${where} saw half a batch of pair ${pair} in ${event.version}`);
    }
  }
}
