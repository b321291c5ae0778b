import type { Store } from "../../../src/index.js";
import { decodeKey } from "../../../src/keys/key.js";
import {
  deadlineOf,
  flagsOf,
  keyOf,
  originOf,
  seqOf,
  TOMBSTONE,
  valueView,
} from "../../../src/record/entry.js";
import { portOf } from "../../../src/store/port.js";
import type { Change, Commit } from "./oracle.js";

const decoder = new TextDecoder();

/** From now on adds to `commits` whatever the store applies, entry by entry, whoever makes the commit. */
export function record(db: Store<string>, commits: Commit[]): void {
  const { engine, origins } = portOf(db);
  const put = engine.put.bind(engine);
  engine.put = (version: number, bytes: Uint8Array, at: number, length: number): void => {
    put(version, bytes, at, length);
    const key = decodeKey(keyOf(bytes, at)) as string;
    const value = (flagsOf(bytes, at) & TOMBSTONE) === 0 ? decoder.decode(valueView(bytes, at)) : undefined;
    const change = { key, value, expiresAt: deadlineOf(bytes, at) };
    const origin = originOf(bytes, at);
    const seq = seqOf(bytes, at);
    add(commits, version, change, origin > 1 ? { origin: origins.id(origin), seq } : undefined);
  };
}

function add(commits: Commit[], version: number, change: Change, foreign: Commit["foreign"]): void {
  const last = commits.at(-1);
  const isSame = last?.version === version;
  const changes = isSame ? [...last.changes, change] : [change];
  const newest = isSame && (last.foreign?.seq ?? 0) > (foreign?.seq ?? 0) ? last.foreign : foreign;
  const fresh = { level: "full", versionBefore: version - 1, rolledBack: false, refused: false } as const;
  const commit = { changes, version, ...fresh, ...(newest === undefined ? {} : { foreign: newest }) };
  commits.splice(isSame ? -1 : commits.length, 1, commit);
}
