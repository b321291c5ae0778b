/**
 * A thread that scans shared memory whose owner takes nearly every read back and uses everything again at
 * once. Whatever a read gives must be right all the same.
 */
import { parentPort, workerData } from "node:worker_threads";
import { ReaderTree } from "../../../dist/memory/shared/reader-tree.js";
import { ReaderSession } from "../../../dist/memory/shared/session.js";
import { SharedView } from "../../../dist/memory/shared/view.js";
import { keyOf, valueView } from "../../../dist/record/entry.js";

const { control, block, layout, buffers, channel, stop, total } = workerData;
const nothing = new Int32Array(new SharedArrayBuffer(4));
let news = 0;
/** The owner writes what is new into one list that it never changes: messages would have to be waited for. */
const learn = () => {
  for (; news < Atomics.load(channel.count, 0); news++) {
    const [kind, number, index] = channel.items.subarray(news * 3, news * 3 + 3);
    view.map(kind === 0 ? "slab" : "chunk", number, index === 0 ? undefined : channel.pool[index - 1]);
  }
};
const view = new SharedView(layout, learn);
const session = new ReaderSession(control, block, learn);
const tree = new ReaderTree(view, control, session);
for (const [kind, number, buffer] of buffers) view.map(kind, number, buffer);

function scan() {
  const { version } = session.refresh();
  const rows = session.read(() => {
    const refs = [];
    tree.scan({ from: new Uint8Array(0), to: undefined }, false, version, (ref) => refs.push(ref) > 0);
    // Not while it is on its way: what it came to first has to stay the longest.
    return refs
      .filter((ref) => ref !== 0)
      .map((ref) => {
        const length = view.checkedLength(ref, true);
        const at = view.offset(ref);
        return [view.versionOf(ref), new Uint8Array(view.slab(ref).subarray(at, at + length))];
      });
  });
  let sum = 0;
  let last = "";
  for (const [written, bytes] of rows) {
    const key = String.fromCharCode(...keyOf(bytes, 0));
    const value = valueView(bytes, 0);
    if (key <= last) throw new Error(`${key} after ${last}`);
    if (written > version) throw new Error(`version ${written} in state ${version}`);
    last = key;
    if (value.length === 0) continue;
    const amount = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    if (value.subarray(4).some((byte) => byte !== amount % 256)) throw new Error(`bytes of ${key} are mixed`);
    sum += amount;
  }
  if (sum !== total) throw new Error(`a sum of ${sum} in state ${version}`);
}

let right = 0;
let revoked = 0;
while (Atomics.load(stop, 0) === 0) {
  try {
    scan();
    right++;
  } catch (error) {
    if (error.code !== "REVOKED") throw error;
    revoked++;
    // Gives the owner's thread a chance on a machine with one processor.
    Atomics.wait(nothing, 0, 0, 1);
  }
  if ((right + revoked) % 50 === 0) parentPort.postMessage({ right, revoked });
}
parentPort.postMessage({ done: true });
