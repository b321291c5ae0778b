import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { onAbort } from "../../src/base/aborts.js";
import { open } from "../../src/index.js";
import { replicate } from "../../src/sync/index.js";

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

describe("those who wait for one signal", () => {
  it("are all told once, in their order, by one listener of the signal", () => {
    const controller = new AbortController();
    const told: number[] = [];
    for (let i = 0; i < 20; i++) onAbort(controller.signal, () => told.push(i));
    expect(listenersOf(controller.signal)).toBe(1);
    controller.abort();
    controller.abort();
    expect(told).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(listenersOf(controller.signal)).toBe(0);
  });

  it("are not told any more once they left, and the last to leave takes the listener along", () => {
    const controller = new AbortController();
    const told: string[] = [];
    const same = (): void => void told.push("same");
    const leave = [onAbort(controller.signal, same), onAbort(controller.signal, same)];
    leave[0]();
    leave[0]();
    expect(listenersOf(controller.signal)).toBe(1);
    leave[1]();
    expect(listenersOf(controller.signal)).toBe(0);
    onAbort(controller.signal, () => told.push("later"));
    controller.abort();
    expect(told).toEqual(["later"]);
  });

  it("may leave while others are told", () => {
    const controller = new AbortController();
    const told: string[] = [];
    onAbort(controller.signal, () => {
      told.push("first");
      leaveSecond();
    });
    const leaveSecond = onAbort(controller.signal, () => told.push("second"));
    onAbort(controller.signal, () => told.push("third"));
    controller.abort();
    expect(told).toEqual(["first", "third"]);
  });

  it("leave it when they are through", async () => {
    await using db = await open<number>();
    await using replicator = await replicate(db);
    const { signal } = new AbortController();
    let [go, listeners]: [() => void, number] = [() => undefined, 0];
    const working = db.transact(() => new Promise<void>((resolve) => (go = resolve)), { signal });
    const waiting = replicator.synced(undefined, { signal, timeoutMs: 1 });
    listeners = listenersOf(signal);
    go();
    await working;
    await expect(waiting).rejects.toMatchObject({ code: "TIMEOUT" });
    expect([listeners, listenersOf(signal)]).toEqual([1, 0]);
  });

  it("may be transactions, watches of both kinds and waits for peers, any number", async () => {
    await using db = await open<number>();
    await using replicator = await replicate(db);
    const controller = new AbortController();
    const { signal } = controller;
    const seen: number[] = [];
    const outcomes: Promise<string>[] = [];
    const codeOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => "resolved",
        (error: { code: string }) => error.code,
      );
    for (let i = 0; i < 20; i++) {
      outcomes.push(codeOf(db.transact(() => new Promise(() => undefined), { signal })));
      outcomes.push(codeOf(replicator.synced(undefined, { signal })));
      outcomes.push(codeOf(db.watch({}, { signal }).next()));
      db.watch({}, () => seen.push(i), { signal });
    }
    expect(listenersOf(signal)).toBe(1);
    controller.abort();
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["ABORTED"]));
    await db.set("key", 1);
    expect(seen).toEqual([]);
    expect(listenersOf(signal)).toBe(0);
  });
});
