import { Worker } from "node:worker_threads";
import { afterEach, test } from "vitest";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";
import { mappedBuffers, Sharing } from "../../../src/memory/shared/sharing.js";
import { ascii, entry, put, quickHash } from "../fixtures.js";
import { SMALL } from "../offheap/shapes.js";
import { sequence } from "./fixture.js";

/** Raise it for a long run: `FULMAR_SCANS=100000 npx vitest run packages/fulmar/test/memory/shared/threads.test.ts`. */
const SCANS = Number(process.env.FULMAR_SCANS ?? 1000);
const SEED = Number(process.env.FULMAR_SEED ?? 1 + (Date.now() % 1_000_000));
const KEYS = 60;
const AMOUNT = 1000;
/**
 * More buffers than there can be: they are told of in advance, by their place in a list. Beside a reader that gets no
 * processor, 400 chunks of nodes alone may wait.
 */
const BUFFERS = 2400;
const NEWS_MAX = 4_000_000;

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

/** Tells a thread that never waits for messages of buffers that come and go, in the memory that they share. */
class News {
  readonly count = new Uint32Array(new SharedArrayBuffer(4));
  readonly items = new Uint32Array(new SharedArrayBuffer(NEWS_MAX * 12));
  readonly pool: SharedArrayBuffer[] = [];

  constructor(sharing: Sharing) {
    sharing.buffers.mapped = (kind, number, buffer) => {
      const at = Atomics.load(this.count, 0);
      const index = buffer === undefined ? 0 : this.pool.indexOf(buffer) + 1;
      if (buffer !== undefined && index === 0) throw new Error("a buffer that nobody was told of");
      this.items.set([kind === "slab" ? 0 : 1, number, index], at * 3);
      Atomics.store(this.count, 0, at + 1);
    };
  }
}

/** Every slab of one size, and every chunk of one: they are made beforehand. */
const SHAPE = {
  ...DEFAULT_SHAPE,
  ...SMALL,
  slabBytesMin: 8192,
  slabBytes: 8192,
  chunkNodesMin: 4,
  chunkNodes: 4,
};

/** Has a sharing use buffers that were all made before the first thread began. */
function withPool(sharing: Sharing): News {
  const { buffers } = sharing;
  const made: SharedArrayBuffer[] = [];
  for (const backing of [buffers.slabs, buffers.chunks]) {
    for (const bytes of [SHAPE.slabBytes, SHAPE.chunkNodes * SHAPE.nodeWords * 4]) {
      for (let i = 0; i < BUFFERS / 4; i++) made.push(backing.allocate(bytes) as SharedArrayBuffer);
    }
  }
  for (const buffer of made) buffers.slabs.dropped(0, buffer, () => undefined);
  const news = new News(sharing);
  news.pool.push(...made);
  return news;
}

/** So much waits for readers at most: nothing, so that a read that meets a change is taken back; or what they need. */
test.each([
  ["when every read is taken back", 0],
  ["when memory waits for the end of reads", 400_000],
])(
  `two threads read right, or not at all, %s (seed ${SEED})`,
  async (_, limboBytesMax) => {
    const sharing = new Sharing({ stepBytes: 1, limboBytesMax });
    const channel = withPool(sharing);
    const engine = createEngine({ hash: quickHash, shape: SHAPE, sharing });
    const random = sequence(SEED);
    const amounts = new Array<number>(KEYS).fill(AMOUNT);
    const write = (version: number, key: number): void => {
      const value = new Uint8Array(4 + random(300)).fill(amounts[key] % 256);
      new DataView(value.buffer).setUint32(0, amounts[key], true);
      put(engine, version, entry(ascii(`key ${String(key).padStart(3, "0")}`), { seq: version, value }));
    };
    let version = 1;
    for (let key = 0; key < KEYS; key++) write(version, key);
    engine.settle(version);

    const stop = new Int32Array(new SharedArrayBuffer(4));
    const told = [0, 1].map(() => {
      const { control, layout } = sharing;
      const { block } = sharing.attach();
      const { count, items, pool } = channel;
      const total = KEYS * AMOUNT;
      const buffers = mappedBuffers(sharing.buffers);
      const workerData = { control, block, layout, buffers, channel: { count, items, pool }, stop, total };
      const worker = new Worker(new URL("./reader-thread.mjs", import.meta.url), { workerData });
      workers.push(worker);
      const last: Record<string, unknown> = {};
      worker.on("message", (message: object) => Object.assign(last, message));
      const failed = new Promise<never>((_, reject) => worker.once("error", reject));
      failed.catch(() => undefined);
      return { last, failed };
    });

    let moves = 0;
    const nothing = (): void => undefined;
    const unmoved = { makeRoom: nothing, entered: nothing, replaced: nothing, left: nothing };
    engine.track({ ...unmoved, moved: () => moves++ });
    // Many times what the amounts take, and all of it goes again: what is among it has to move.
    const swell = (isThere: boolean): void => {
      version++;
      for (let i = 0; i < 4 * KEYS; i++) {
        const key = ascii(`key ${String(i % KEYS).padStart(3, "0")} + ${i}`);
        const value = isThere ? { value: new Uint8Array() } : {};
        put(engine, version, entry(key, { seq: version, ...value }));
      }
      engine.settle(version);
    };
    const change = (): void => {
      version++;
      const [from, to] = [random(KEYS / 2), KEYS / 2 + random(KEYS / 2)];
      const amount = random(Math.min(9, amounts[from] + 1));
      amounts[from] -= amount;
      amounts[to] += amount;
      write(version, from);
      // Keys between the others come and go, so that nodes split and join.
      const other = ascii(`key ${String(random(KEYS)).padStart(3, "0")} ${random(4)}`);
      put(
        engine,
        version,
        entry(other, random(2) === 0 ? { seq: version } : { seq: version, value: new Uint8Array() }),
      );
      write(version, to);
      engine.settle(version);
    };
    const changeUntil = async (happened: () => boolean): Promise<void> => {
      while (!happened()) {
        swell(true);
        for (let i = random(40); i >= 0; i--) change();
        swell(false);
        for (let i = 0; i < 100 && engine.vacuum(8); i++);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const isEnough = (): boolean =>
      told.every(({ last }) => Number(last.right ?? 0) >= SCANS) &&
      (limboBytesMax > 0 || told.some(({ last }) => Number(last.revoked ?? 0) > 0)) &&
      moves > SCANS;
    await Promise.race([changeUntil(isEnough), ...told.map(({ failed }) => failed)]);
    Atomics.store(stop, 0, 1);
    await Promise.race([
      changeUntil(() => told.every(({ last }) => last.done === true)),
      ...told.map((t) => t.failed),
    ]);
    engine.verify();
  },
  600_000,
);
