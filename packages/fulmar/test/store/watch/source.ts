import { textCodec } from "../../../src/codec/codec.js";
import type { CommitHistory, PastVisitor } from "../../../src/durability/history.js";
import { STORE_KEYS } from "../../../src/keys/space.js";
import { entryBytes, writeEntry } from "../../../src/record/entry.js";
import { ChangeMaker } from "../../../src/store/watch/changes.js";
import { watchedRanges, watchPlan } from "../../../src/store/watch/request.js";
import { WatchStream } from "../../../src/store/watch/stream.js";

const changes = new ChangeMaker<string>({
  origins: { id: () => "origin" },
  codec: textCodec,
  space: STORE_KEYS,
} as unknown as ConstructorParameters<typeof ChangeMaker<string>>[0]);

type Pairs = readonly (readonly [key: string, value: string])[];

function entriesOf(pairs: Pairs): Uint8Array {
  const parts = pairs.map(([name, text]) => {
    const key = STORE_KEYS.encode(name, 100);
    const value = textCodec.encode(text);
    const bytes = new Uint8Array(entryBytes(key.length, value.length, 0));
    const stamp = { origin: 1, hlc: 1, seq: 1, deadline: 0, flags: 0, valueChecksum: 0 };
    writeEntry(bytes, 0, { key, value, ...stamp });
    return bytes;
  });
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A store of which nothing is there but what a stream asks: commits that are kept, and how far it is. */
export class Source {
  readonly kept = new Map<number, Pairs>();
  readonly cursors: [after: number, exact: boolean][] = [];
  readonly waiting: (() => void)[] = [];
  readonly left = new Set<unknown>();
  oldest = 0;
  newestVersion = 0;
  publishedVersion = 0;
  /** Called before each commit that is read back. */
  beforeVisit: (version: number) => void = () => undefined;
  readonly history: CommitHistory;

  constructor() {
    const oldest = (): number => this.oldest;
    this.history = {
      bytes: 0,
      get oldest() {
        return oldest();
      },
      cursor: (after, exact) => {
        this.cursors.push([after, exact]);
        let position = after;
        return {
          read: async (through, visit) => {
            await Promise.resolve();
            if (position < this.oldest) return undefined;
            position = this.#show(position, through, visit);
            return position;
          },
        };
      },
    };
  }

  #show(after: number, through: number, visit: PastVisitor): number {
    for (const [version, pairs] of this.kept) {
      if (version <= after || version > through) continue;
      this.beforeVisit(version);
      const past = {
        version,
        remote: version === 2,
        bytes: entriesOf(pairs),
        at: 0,
        entryCount: pairs.length,
      };
      if (!visit(past)) return version;
    }
    return through;
  }

  /** Commits that are kept, applied and published. */
  commits(count: number, pairsOf: (version: number) => Pairs = (version) => [["k", `${version}`]]): void {
    for (let i = 0; i < count; i++) this.kept.set(++this.newestVersion, pairsOf(this.newestVersion));
    this.publishedVersion = this.newestVersion;
  }

  stream(options: Parameters<typeof watchPlan>[0] = {}, key?: string): WatchStream<string> {
    const ranges = watchedRanges(key ?? {}, STORE_KEYS, 100);
    const subscription = { ranges, changes, order: 1, leave: (one: unknown) => void this.left.add(one) };
    const source = {
      history: this.history,
      published: () => this.publishedVersion,
      newest: () => this.newestVersion,
      onPublished: (wake: () => void) => void this.waiting.push(wake),
    };
    return new WatchStream(subscription, source, watchPlan(options));
  }

  wake(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }
}

/** Announces a commit as it is published; says whether the stream took it. */
export function announce(
  source: Source,
  stream: WatchStream<string>,
  version: number,
  remote = false,
): boolean {
  source.newestVersion = Math.max(source.newestVersion, version);
  source.publishedVersion = version;
  source.kept.set(version, [["k", `${version}`]]);
  if (!stream.takes(version)) return false;
  const bytes = entriesOf([["k", `${version}`]]);
  stream.take(version, remote, [changes.make(bytes, 0)]);
  return true;
}

/** After everything that can go on has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
