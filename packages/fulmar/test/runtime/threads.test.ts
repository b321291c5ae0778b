import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { ThreadChannel, Threads } from "../../src/base/runtime/interface.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { SimulatedStorage } from "../../src/testing/index.js";

/** What a channel of one kind of threads must do, within one thread. */
describe.each([
  ["node", () => nodeRuntime().threads],
  ["simulated", () => new SimulatedStorage().runtime.threads],
])("a channel, %s", (_, threadsOf) => {
  function pair(threads: Threads): readonly [ThreadChannel, ThreadChannel] {
    const { own, other } = threads.channel();
    const joined = threads.join(other);
    if (joined === undefined) throw new Error("the other end is none");
    return [own, joined];
  }

  function listen(channel: ThreadChannel): { readonly messages: unknown[]; ends: number } {
    const heard = { messages: [] as unknown[], ends: 0 };
    channel.start({ message: (message) => heard.messages.push(message), closed: () => heard.ends++ });
    return heard;
  }

  async function until(happened: () => boolean): Promise<void> {
    while (!happened()) await turn();
  }

  test("lets messages be taken in line as soon as they are posted, in order, and once", async () => {
    const [a, b] = pair(threadsOf());
    const memory = new SharedArrayBuffer(8);
    expect(b.receive()).toBe(undefined);
    a.post({ n: 1 });
    a.post({ n: 2, memory });
    expect(b.receive()).toEqual({ n: 1 });
    const heard = listen(b);
    a.post({ n: 3 });
    const second = b.receive() as { memory: SharedArrayBuffer };
    new Uint8Array(memory)[3] = 7;
    expect(new Uint8Array(second.memory)[3]).toBe(7);
    await until(() => heard.messages.length > 0);
    expect(heard.messages).toEqual([{ n: 3 }]);
    expect(b.receive()).toBe(undefined);
    a.close();
    await until(() => heard.ends > 0);
  });

  test("tells both ends once when one closes, after what was posted before", async () => {
    const [a, b] = pair(threadsOf());
    const heard = [listen(a), listen(b)];
    b.post("last");
    b.close();
    b.close();
    await until(() => heard.every(({ ends }) => ends > 0));
    a.post("too late");
    a.close();
    await turn();
    expect(heard).toEqual([
      { messages: ["last"], ends: 1 },
      { messages: [], ends: 1 },
    ]);
  });

  test("is not made of anything else", () => {
    for (const other of [undefined, null, 1, {}, new Uint8Array(1)]) {
      expect(threadsOf().join(other)).toBe(undefined);
    }
  });
});

test("a buffer that is withheld stays with its thread, whole", () => {
  for (const threads of [nodeRuntime().threads, new SimulatedStorage().runtime.threads]) {
    threads.withhold(new ArrayBuffer(1));
  }
  const buffer = new ArrayBuffer(8);
  nodeRuntime().threads.withhold(buffer);
  const { port1, port2 } = new MessageChannel();
  // Later versions than 20 refuse, instead of sending a copy.
  const transferTo = (send: () => unknown): void => {
    try {
      send();
    } catch (error) {
      expect((error as Error).name).toBe("DataCloneError");
    }
    expect(buffer.byteLength).toBe(8);
  };
  transferTo(() => port1.postMessage(buffer, [buffer]));
  transferTo(() => structuredClone(buffer, { transfer: [buffer] }));
  port1.close();
  port2.close();
});
