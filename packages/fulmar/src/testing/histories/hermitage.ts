import { refusal } from "../check.js";
import {
  change,
  type DrivenStore,
  type Form,
  type FormName,
  forms,
  look,
  seenAfter,
  seenBefore,
  total,
} from "./hermitage-forms.js";
import { Outcome, type ScenarioIsolation } from "./hermitage-outcome.js";

/**
 * What transactions may not do to each other, as small scenarios of two or three interleaved transactions,
 * after Kleppmann's Hermitage (2014) and the phenomena of Adya (1999), each in the forms in which it can be: on a key
 * that is there, on one that is absent, over a range, and over a prefix.
 */

/** One phenomenon in one form. */
export interface Scenario {
  /** The phenomenon and its form, such as "G2-item: write skew (absent key)". */
  readonly name: string;
  /**
   * What went wrong, in words: nothing, when the list is empty. Judged as `serializable` unless said otherwise.
   *
   * @throws FulmarTypeError `INVALID_ARGUMENT`: another isolation.
   */
  readonly run: (store: DrivenStore, isolation?: ScenarioIsolation) => Promise<readonly string[]>;
}

/** A scenario on two things, `b` of the same form as `a`. */
type Play = (outcome: Outcome, store: DrivenStore, a: Form, b: Form) => Promise<void>;

/** Two transactions that write the same keys, each last at one of them: both keys must be of one. */
const dirtyWrite: Play = async (outcome, store, a, b) => {
  const [one, two] = [await store.begin(), await store.begin()];
  change(one, a, 11);
  change(two, a, 12);
  change(two, b, 22);
  change(one, b, 21);
  outcome.commits("the first to commit", await one.commit());
  const isSecond = await two.commit();
  // Who has read nothing can come after anybody.
  outcome.onlyIn("snapshot", () => outcome.isRefused("who wrote the same later", isSecond));
  const after = await store.begin();
  outcome.equal("the first key", look(after, a), seenAfter(a, isSecond ? 12 : 11));
  outcome.equal("the second key", look(after, b), seenAfter(b, isSecond ? 22 : 21));
  await after.abort();
};

const abortedRead: Play = async (outcome, store, a) => {
  const [one, two] = [await store.begin(), await store.begin()];
  change(one, a, 101);
  outcome.equal("a write that is not committed", look(two, a), seenBefore(a));
  await one.abort();
  outcome.equal("a write that was aborted", look(two, a), seenBefore(a));
  outcome.commits("who only read", await two.commit());
  const after = await store.begin();
  outcome.equal("a write that was aborted, later", look(after, a), seenBefore(a));
  await after.abort();
};

const intermediateRead: Play = async (outcome, store, a) => {
  const [one, two] = [await store.begin(), await store.begin()];
  change(one, a, 101);
  outcome.equal("the first of two writes", look(two, a), seenBefore(a));
  change(one, a, 11);
  outcome.commits("who met nobody", await one.commit());
  outcome.equal("a commit since the beginning", look(two, a), seenBefore(a));
  outcome.commits("who only read", await two.commit());
  const after = await store.begin();
  outcome.equal("the second of two writes", look(after, a), seenAfter(a, 11));
  await after.abort();
};

/** Each writes what the other reads. Neither may see it; and as then each was before the other, only one can be. */
const circularInformation: Play = async (outcome, store, a, b) => {
  const [one, two] = [await store.begin(), await store.begin()];
  change(one, a, 11);
  change(two, b, 22);
  outcome.equal("what the second wrote", look(one, b), seenBefore(b));
  outcome.equal("what the first wrote", look(two, a), seenBefore(a));
  outcome.oneOf("who missed what the other wrote", [await one.commit(), await two.commit()]);
};

/** Two writers, of which the reader has seen the first: it must see all of it, however far the second is. */
const vanishing: Play = async (outcome, store, a, b) => {
  const [one, two] = [await store.begin(), await store.begin()];
  change(one, a, 11);
  change(one, b, 19);
  change(two, a, 12);
  outcome.commits("the first to commit", await one.commit());
  const reader = await store.begin();
  outcome.equal("the first key of the first writer", look(reader, a), seenAfter(a, 11));
  change(two, b, 18);
  outcome.equal("the second key of the first writer", look(reader, b), seenAfter(b, 19));
  const isSecond = await two.commit();
  outcome.onlyIn("snapshot", () => outcome.isRefused("who wrote the same later", isSecond));
  outcome.equal("the second key, again", look(reader, b), seenAfter(b, 19));
  outcome.equal("the first key, again", look(reader, a), seenAfter(a, 11));
  outcome.commits("who only read", await reader.commit());
};

/** Looks for something, and for something else after a commit that brought what is both. */
const manyPreceders: Play = async (outcome, store, a) => {
  const reader = await store.begin();
  outcome.equal("the first look", look(reader, a), seenBefore(a));
  const writer = await store.begin();
  change(writer, a, 30);
  outcome.commits("who met nobody", await writer.commit());
  outcome.equal("another look", total(a.entriesOtherwise(reader)), seenBefore(a));
  outcome.equal("the first look, again", look(reader, a), seenBefore(a));
  outcome.commits("who only read", await reader.commit());
};

/** One raises all that it finds, the other deletes what it finds to be of a value that it is not any more. */
const manyPrecedersOfWriter: Play = async (outcome, store, a) => {
  const [one, two] = [await store.begin(), await store.begin()];
  for (const [key, value] of a.entries(one)) one.set(key, value + 10);
  for (const [key, value] of a.entriesOtherwise(two)) if (value === 10) two.delete(key);
  outcome.commits("the first to commit", await one.commit());
  outcome.isRefused("who deletes what has another value", await two.commit());
  const after = await store.begin();
  outcome.equal("what was raised", look(after, a), seenBefore(a) + 10 * a.before.length);
  await after.abort();
};

/** Both read the same and write what they made of it. */
const lostUpdate: Play = async (outcome, store, a) => {
  const [one, two] = [await store.begin(), await store.begin()];
  const [first, second] = [look(one, a), look(two, a)];
  change(one, a, first + 1);
  change(two, a, second + 1);
  outcome.commits("the first to commit", await one.commit());
  outcome.isRefused("who did not see what it overwrites", await two.commit());
};

/** A reader that looks at one thing before a commit that changes two, and at the other thing after it. */
const readSkew: Play = async (outcome, store, a, b) => {
  const reader = await store.begin();
  outcome.equal("the first look", look(reader, a), seenBefore(a));
  const writer = await store.begin();
  look(writer, a);
  look(writer, b);
  change(writer, a, 12);
  change(writer, b, 18);
  outcome.commits("who met nobody", await writer.commit());
  outcome.equal("the half of a commit", look(reader, b), seenBefore(b));
  outcome.commits("who only read", await reader.commit());
};

/** The same reader, which then writes: it would be before the other by what it read, after it by what it wrote. */
const readSkewOfWriter: Play = async (outcome, store, a, b) => {
  const reader = await store.begin();
  const seen = look(reader, a);
  const writer = await store.begin();
  change(writer, a, 12);
  change(writer, b, 18);
  outcome.commits("who met nobody", await writer.commit());
  change(reader, b, seen + 1);
  outcome.isRefused("who overwrites a commit of which it read the state before", await reader.commit());
  const after = await store.begin();
  outcome.equal("what was committed", look(after, b), seenAfter(b, 18));
  await after.abort();
};

/** Each reads both, and writes one of them. */
const writeSkew: Play = async (outcome, store, a, b) => {
  const [one, two] = [await store.begin(), await store.begin()];
  for (const tx of [one, two]) for (const form of [a, b]) look(tx, form);
  change(one, a, 11);
  change(two, b, 21);
  outcome.oneOf("who missed what the other wrote", [await one.commit(), await two.commit()]);
};

/** Both find nothing of a kind, and each adds something of that kind under a key of its own. */
const bothAdd: Play = async (outcome, store, a) => {
  const [one, two] = [await store.begin(), await store.begin()];
  for (const tx of [one, two]) a.entries(tx);
  change(one, a, 30);
  two.set(a.key.replace(/5$/, "6"), 42);
  outcome.oneOf("who missed what the other added", [await one.commit(), await two.commit()]);
};

/** A reader between two writers, whose result nobody could have seen. */
const twoEdges: Play = async (outcome, store, a, b) => {
  const slow = await store.begin();
  const seen = [look(slow, a), look(slow, b)];
  const fast = await store.begin();
  look(fast, b);
  change(fast, b, 25);
  outcome.commits("the first to commit", await fast.commit());
  const reader = await store.begin();
  outcome.equal("what the slow one will write", look(reader, a), seen[0]);
  outcome.equal("what the fast one wrote", look(reader, b), seenAfter(b, 25));
  outcome.commits("who only read", await reader.commit());
  change(slow, a, seen[0] + seen[1]);
  const isSlow = await slow.commit();
  outcome.onlyIn("serializable", () => outcome.isRefused("who should have been before the reader", isSlow));
  outcome.onlyIn("snapshot", () => outcome.commits("who wrote what nobody else did", isSlow));
};

const EVERY: readonly FormName[] = ["key", "absent key", "range", "prefix"];
const ITEMS: readonly FormName[] = ["key", "absent key"];
const PREDICATES: readonly FormName[] = ["range", "prefix"];

const PLAYS: readonly (readonly [name: string, forms: readonly FormName[], play: Play])[] = [
  ["G0: dirty write", EVERY, dirtyWrite],
  ["G1a: aborted read", EVERY, abortedRead],
  ["G1b: intermediate read", EVERY, intermediateRead],
  ["G1c: circular information flow", EVERY, circularInformation],
  ["OTV: a transaction that was observed vanishes", EVERY, vanishing],
  // What is looked for by its key is looked for by a condition, too, when it is by a range of that one key.
  ["PMP: many precede a predicate", EVERY, manyPreceders],
  ["PMP: many precede the predicate of a writer", ["key", ...PREDICATES], manyPrecedersOfWriter],
  ["P4: lost update", EVERY, lostUpdate],
  ["G-single: read skew", EVERY, readSkew],
  ["G-single: read skew of a writer", EVERY, readSkewOfWriter],
  ["G2-item: write skew", ITEMS, writeSkew],
  ["G2-item: two anti-dependencies around a reader", ITEMS, twoEdges],
  ["G2: write skew", PREDICATES, writeSkew],
  ["G2: two anti-dependencies around a reader", PREDICATES, twoEdges],
  ["G2: both add what the other looked for", PREDICATES, bothAdd],
];

const ISOLATIONS: readonly unknown[] = ["serializable", "snapshot"];

async function run(
  play: Play,
  [a, b]: readonly [Form, Form],
  store: DrivenStore,
  isolation: ScenarioIsolation,
): Promise<readonly string[]> {
  if (!ISOLATIONS.includes(isolation)) throw refusal(`isolation must be one of ${ISOLATIONS.join(", ")}`);
  const preparation = await store.begin();
  for (const { before } of [a, b]) for (const [key, value] of before) preparation.set(key, value);
  const outcome = new Outcome(isolation);
  outcome.commits("the preparation", await preparation.commit());
  await play(outcome, store, a, b);
  return outcome.wrong;
}

/**
 * Every scenario in every form.
 *
 * @example
 * ```ts
 * import { open } from "fulmar";
 * import { type DrivenTransaction, hermitageScenarios } from "fulmar/testing";
 *
 * for (const { name, run } of hermitageScenarios()) {
 *   await using db = await open<number>();
 *   // A transaction whose function waits until it is told to end.
 *   const begin = () =>
 *     new Promise<DrivenTransaction>((begun) => {
 *       let end = (_isCommit: boolean): void => {};
 *       const ended = new Promise<boolean>((resolve) => (end = resolve));
 *       const done = db
 *         .transact(
 *           async (tx) => {
 *             const listed = (options: Parameters<typeof tx.list>[0]) =>
 *               Array.from(tx.list(options), ({ key, value }) => [String(key), value] as const);
 *             begun({
 *               get: (key) => tx.get(key),
 *               set: (key, value) => tx.set(key, value),
 *               delete: (key) => tx.delete(key),
 *               range: (gte, lte) => listed({ gte, lte }),
 *               prefix: (prefix) => listed({ prefix }),
 *               commit: () => (end(true), done),
 *               abort: async () => (end(false), void (await done)),
 *             });
 *             if (!(await ended)) throw new Error("aborted");
 *           },
 *           { retries: 0 },
 *         )
 *         .then(() => true, () => false);
 *     });
 *   for (const wrong of await run({ begin })) console.log(name, wrong);
 * }
 * ```
 */
export function hermitageScenarios(): Scenario[] {
  const [first, second] = [forms("a"), forms("b")];
  return PLAYS.flatMap(([name, names, play]) =>
    first.flatMap((a, index): Scenario[] => {
      if (!names.includes(a.name)) return [];
      const pair = [a, second[index]] as const;
      const judged: Scenario["run"] = (store, isolation = "serializable") =>
        run(play, pair, store, isolation);
      return [{ name: `${name} (${a.name})`, run: judged }];
    }),
  );
}
