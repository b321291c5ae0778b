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

type Entries = readonly (readonly [string, number])[];

/** How one transaction looks at what the other one changes. */
export interface Form {
  readonly name: "key" | "absent key" | "range" | "prefix";
  /** Whether it looks for what fulfils a condition, whatever keys that has. */
  readonly isPredicate: boolean;
  /** The key that is changed. */
  readonly key: string;
  /** What is there before. */
  readonly before: Entries;
  /** What a transaction sees of it. */
  readonly entries: (tx: DrivenTransaction) => Entries;
  /** The same, asked for in another way. */
  readonly entriesOtherwise: (tx: DrivenTransaction) => Entries;
}

export type FormName = Form["name"];

/** The four forms on keys that begin with `name`, so that two of them do not meet. */
export function forms(name: string): Form[] {
  const key = `${name}5`;
  const item = (tx: DrivenTransaction): Entries => {
    const value = tx.get(key);
    return value === undefined ? [] : [[key, value]];
  };
  const single = (tx: DrivenTransaction): Entries => tx.range(key, key);
  const range = (tx: DrivenTransaction): Entries => tx.range(`${name}0`, `${name}9`);
  const prefix = (tx: DrivenTransaction): Entries => tx.prefix(name);
  const asItem = { isPredicate: false, key, entries: item, entriesOtherwise: single };
  const before: Entries = [[`${name}4`, 10]];
  return [
    { ...asItem, name: "key", before: [[key, 10]] },
    { ...asItem, name: "absent key", before: [] },
    { name: "range", isPredicate: true, key, before, entries: range, entriesOtherwise: prefix },
    { name: "prefix", isPredicate: true, key, before, entries: prefix, entriesOtherwise: range },
  ];
}

/** What a transaction sees, as a sum, so that any change of it shows. */
export function look(tx: DrivenTransaction, form: Form): number {
  return total(form.entries(tx));
}

/** Changes what others look at. */
export function change(tx: DrivenTransaction, form: Form, value: number): void {
  tx.set(form.key, value);
}

/** What there is to be seen before. */
export function seenBefore({ before }: Form): number {
  return total(before);
}

/** What there is to be seen once it was changed to `value`. */
export function seenAfter({ before, key }: Form, value: number): number {
  return total(before.filter(([other]) => other !== key)) + value;
}

export function total(entries: Entries): number {
  return entries.reduce((sum, [, value]) => sum + value, 0);
}
