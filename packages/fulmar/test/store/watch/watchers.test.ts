import { expect, test } from "vitest";
import { STORE_KEYS } from "../../../src/keys/space.js";
import { ChangeMaker } from "../../../src/store/watch/changes.js";
import { Watchers, type WatchersParts } from "../../../src/store/watch/watchers.js";

/** Only what is asked of a committer when watches come and go. */
function watchersOf(committer: object): Watchers {
  return new Watchers({ committer, history: {}, keyBytesMax: 100 } as WatchersParts);
}

test("commits ask nobody when nobody watches, and otherwise whether one of their keys is watched", () => {
  const committer: {
    interest?: (changed: readonly { key: Uint8Array }[]) => boolean;
    newestVersion: number;
  } = {
    newestVersion: 0,
  };
  const watchers = watchersOf(committer);
  const changes = new ChangeMaker({ space: STORE_KEYS } as ConstructorParameters<typeof ChangeMaker>[0]);
  const watch = (keys: Parameters<Watchers["watch"]>[1]) => watchers.watch(changes, keys, () => undefined);
  const asked = (...names: string[]): boolean | undefined =>
    committer.interest?.(names.map((name) => ({ key: STORE_KEYS.encode(name, 100) })));
  expect(asked("a")).toBeUndefined();
  const first = watch("a");
  const second = watch({ gte: "b", lt: "c" });
  expect([asked("a"), asked("b"), asked("bb"), asked("c"), asked("d"), asked()]).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  expect([asked("d", "e", "a"), asked("d", "e", "b"), asked("d", "e", "f")]).toEqual([true, true, false]);
  first.close();
  expect([asked("a"), asked("b")]).toEqual([false, true]);
  second.close();
  expect(committer.interest).toBeUndefined();
  const third = watch("a");
  expect([asked("a"), asked("b")]).toEqual([true, false]);
  first.close();
  expect(asked("a")).toBe(true);
  third.close();
  expect(committer.interest).toBeUndefined();
});
