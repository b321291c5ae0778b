/**
 * What transactions may not do to each other, as small scenarios of two or three interleaved transactions,
 * after Kleppmann's Hermitage (2014) and the phenomena of Adya (1999), each in up to four forms: on a key
 * that is there, on one that is absent, over a range, and over a prefix.
 */

/** A transaction that is driven step by step. */
export interface DrivenTransaction {
  get(key: string): number | undefined;
  set(key: string, value: number): void;
  delete(key: string): void;
  /** Keys and values from `from` to `to`, both included. */
  range(from: string, to: string): readonly (readonly [string, number])[];
  prefix(prefix: string): readonly (readonly [string, number])[];
  /** Whether it was committed; false after a conflict, which is not tried again. */
  commit(): Promise<boolean>;
  abort(): Promise<void>;
}

/** A store on which scenarios are run: empty at the beginning of each. */
export interface DrivenStore {
  begin(): Promise<DrivenTransaction>;
}

/** What went wrong in a scenario: nothing, when the list is empty. */
export interface Scenario {
  /** The phenomenon and its form, such as "G2-item: write skew (absent key)". */
  readonly name: string;
  readonly run: (store: DrivenStore) => Promise<readonly string[]>;
}

/** How one transaction looks at what the other one changes. */
interface Form {
  readonly name: string;
  /** What is there before. */
  readonly before: readonly (readonly [string, number])[];
  /** Reads what the other may change, as a sum, so that any change of it shows. */
  readonly look: (tx: DrivenTransaction) => number;
  /** Changes what others look at. */
  readonly change: (tx: DrivenTransaction, value: number) => void;
}

const sum = (entries: readonly (readonly [string, number])[]): number =>
  entries.reduce((total, [, value]) => total + value, 0);

/** The four forms on keys that begin with `name`, so that two of them do not meet. */
function forms(name: string): Form[] {
  const key = `${name}5`;
  const set = (tx: DrivenTransaction, value: number): void => tx.set(key, value);
  return [
    { name: "key", before: [[key, 10]], look: (tx) => tx.get(key) ?? 0, change: set },
    { name: "absent key", before: [], look: (tx) => tx.get(key) ?? 0, change: set },
    {
      name: "range",
      before: [[`${name}3`, 10]],
      look: (tx) => sum(tx.range(`${name}0`, `${name}9`)),
      change: set,
    },
    { name: "prefix", before: [[`${name}4`, 10]], look: (tx) => sum(tx.prefix(name)), change: set },
  ];
}

async function prepare(store: DrivenStore, ...all: readonly Form[]): Promise<void> {
  const tx = await store.begin();
  for (const { before } of all) for (const [key, value] of before) tx.set(key, value);
  if (!(await tx.commit())) throw new Error("the preparation of a scenario met nobody, and was refused");
}

function expectEqual(wrong: string[], what: string, found: unknown, expected: unknown): void {
  if (found !== expected) wrong.push(`${what}: ${String(found)} instead of ${String(expected)}`);
}

/** Two transactions of which each writes, in the other's order, what the other writes too. */
async function dirtyWrite(store: DrivenStore, a: Form, b: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a, b);
  const [one, two] = [await store.begin(), await store.begin()];
  a.change(one, 1);
  a.change(two, 2);
  b.change(one, 1);
  await one.commit();
  b.change(two, 2);
  await two.commit();
  const after = await store.begin();
  expectEqual(
    wrong,
    "both keys are of one writer",
    a.look(after) - sum(a.before),
    b.look(after) - sum(b.before),
  );
  await after.abort();
  return wrong;
}

async function abortedRead(store: DrivenStore, a: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a);
  const [one, two] = [await store.begin(), await store.begin()];
  const before = a.look(two);
  a.change(one, 101);
  expectEqual(wrong, "a write that is not committed", a.look(two), before);
  await one.abort();
  const after = await store.begin();
  expectEqual(wrong, "a write that was aborted", a.look(after), before);
  await Promise.all([two.abort(), after.abort()]);
  return wrong;
}

async function intermediateRead(store: DrivenStore, a: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a);
  const [one, two] = [await store.begin(), await store.begin()];
  const before = a.look(two);
  a.change(one, 101);
  expectEqual(wrong, "the first of two writes", a.look(two), before);
  a.change(one, 11);
  await one.commit();
  expectEqual(wrong, "a commit after the snapshot", a.look(two), before);
  await two.abort();
  return wrong;
}

async function circularInformation(store: DrivenStore, a: Form, b: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a, b);
  const [one, two] = [await store.begin(), await store.begin()];
  const before = [a.look(two), b.look(one)];
  a.change(one, 11);
  b.change(two, 22);
  expectEqual(wrong, "what the other wrote", b.look(one), before[1]);
  expectEqual(wrong, "what the other wrote", a.look(two), before[0]);
  await Promise.all([one.abort(), two.abort()]);
  return wrong;
}

/** A reader that looks twice, around a commit that changes both of what it looks at. */
async function vanishing(store: DrivenStore, a: Form, b: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a, b);
  const reader = await store.begin();
  const before = a.look(reader);
  const writer = await store.begin();
  const other = b.look(writer);
  a.change(writer, 12);
  b.change(writer, 18);
  await writer.commit();
  expectEqual(wrong, "the second look", a.look(reader), before);
  expectEqual(wrong, "the half of a commit", b.look(reader), other);
  if (!(await reader.commit())) wrong.push("a transaction that only read was refused");
  return wrong;
}

/** Both read the same and write what they made of it. */
async function lostUpdate(store: DrivenStore, a: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a);
  const [one, two] = [await store.begin(), await store.begin()];
  const [first, second] = [a.look(one), a.look(two)];
  a.change(one, first + 1);
  a.change(two, second + 1);
  const done = [await one.commit(), await two.commit()];
  expectEqual(wrong, "commits that saw the same and changed it", done.filter(Boolean).length, 1);
  return wrong;
}

/** Each reads what the other writes. */
async function writeSkew(store: DrivenStore, a: Form, b: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a, b);
  const [one, two] = [await store.begin(), await store.begin()];
  a.look(one);
  b.look(one);
  a.look(two);
  b.look(two);
  a.change(one, 11);
  b.change(two, 21);
  const done = [await one.commit(), await two.commit()];
  expectEqual(wrong, "commits of which each missed the other", done.filter(Boolean).length, 1);
  return wrong;
}

/** A reader between two writers, whose result nobody could have seen. */
async function readOnlyAnomaly(store: DrivenStore, a: Form, b: Form): Promise<string[]> {
  const wrong: string[] = [];
  await prepare(store, a, b);
  const slow = await store.begin();
  const seen = [a.look(slow), b.look(slow)];
  const fast = await store.begin();
  b.look(fast);
  b.change(fast, 20);
  if (!(await fast.commit())) wrong.push("the first to commit met nobody, and was refused");
  const reader = await store.begin();
  const [x, y] = [a.look(reader), b.look(reader)];
  if (!(await reader.commit())) wrong.push("a transaction that only read was refused");
  expectEqual(wrong, "what the first wrote", y === seen[1], false);
  a.change(slow, x - 11);
  expectEqual(wrong, "a commit before which the reader should have been", await slow.commit(), false);
  return wrong;
}

/** Every scenario in every form. */
export function hermitageScenarios(): Scenario[] {
  const first = forms("a");
  const second = forms("b");
  const single = (name: string, run: (store: DrivenStore, a: Form) => Promise<string[]>): Scenario[] =>
    first.map((a) => ({ name: `${name} (${a.name})`, run: (store) => run(store, a) }));
  const double = (
    name: string,
    run: (store: DrivenStore, a: Form, b: Form) => Promise<string[]>,
  ): Scenario[] =>
    first.map((a, index) => ({ name: `${name} (${a.name})`, run: (store) => run(store, a, second[index]) }));
  return [
    ...double("G0: dirty write", dirtyWrite),
    ...single("G1a: aborted read", abortedRead),
    ...single("G1b: intermediate read", intermediateRead),
    ...double("G1c: circular information flow", circularInformation),
    ...double("OTV, PMP: a transaction that vanishes while it is read", vanishing),
    ...single("P4: lost update", lostUpdate),
    ...double("G2: write skew", writeSkew),
    ...double("G2: anomaly of a reader", readOnlyAnomaly),
  ];
}
