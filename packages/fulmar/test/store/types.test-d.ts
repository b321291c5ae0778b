/** What the compiler must infer, and what it must refuse. Never run: the step `types` of the gate compiles it. */
import * as v from "valibot";
import { expectTypeOf } from "vitest";
import * as z from "zod";
import type {
  AtomicOutcome,
  BatchOperation,
  Codec,
  CommitEvent,
  DeleteChange,
  Entry,
  Incremented,
  Key,
  Namespace,
  OpenOptions,
  SharedNamespace,
  SharedReader,
  Snapshot,
  StandardSchema,
  Store,
  Tombstone,
  Watch,
  Writable,
  Written,
} from "../../src/index.js";
import { dump, open, openReader } from "../../src/index.js";
import { type Replicator, replicate } from "../../src/sync/index.js";

interface User {
  readonly name: string;
}

const db = await open<User>();
const anything = await open();

// A store of values of one type.
expectTypeOf(db).toEqualTypeOf<Store<User>>();
expectTypeOf(anything.get("a")).toEqualTypeOf<unknown>();
expectTypeOf(db.get("a")).toEqualTypeOf<User | undefined>();
expectTypeOf(db.getMany(["a", 1])).toEqualTypeOf<(User | undefined)[]>();
expectTypeOf(db.entry("a")).toEqualTypeOf<Entry<User> | undefined>();
expectTypeOf(db.set("a", { name: "Ada" })).toEqualTypeOf<Promise<Written<User>>>();

// A counter is of the type of what is added to it.
expectTypeOf(db.increment("a")).toEqualTypeOf<Promise<Incremented<User, number>>>();
expectTypeOf((await db.increment("a")).value).toEqualTypeOf<number>();
expectTypeOf((await db.increment("a", 2, { ttl: 5 })).value).toEqualTypeOf<number>();
expectTypeOf((await db.increment("a", undefined, { ttl: 5 })).value).toEqualTypeOf<number>();
expectTypeOf((await db.increment("a", 2n)).value).toEqualTypeOf<bigint>();
declare const step: number | bigint;
expectTypeOf((await db.increment("a", step)).value).toEqualTypeOf<number | bigint>();
declare const sum: Incremented;
expectTypeOf(sum.value).toEqualTypeOf<number | bigint>();
// @ts-expect-error no number
void db.increment("a", "1");

// Stores replicate, of whatever values; namespaces and other things do not.
expectTypeOf(replicate(db, { peers: ["a:1"] })).toEqualTypeOf<Promise<Replicator>>();
expectTypeOf(replicate(anything)).toEqualTypeOf<Promise<Replicator>>();
// @ts-expect-error a namespace replicates with its store
void replicate(db.namespace("a"));
// @ts-expect-error no store
void replicate({});

expectTypeOf([...db.list()]).toEqualTypeOf<Entry<User>[]>();
expectTypeOf([...db.keys()]).toEqualTypeOf<Key[]>();
expectTypeOf([...db.values()]).toEqualTypeOf<User[]>();
expectTypeOf(db.snapshot()).toEqualTypeOf<Snapshot<User>>();
db.watch({}, (commit) => {
  expectTypeOf(commit).toEqualTypeOf<CommitEvent<User>>();
  const [change] = commit.changes;
  expectTypeOf(change.value).toEqualTypeOf<User | undefined>();
  if (change.type === "set") expectTypeOf(change.value).toEqualTypeOf<User>();
  else expectTypeOf(change).toEqualTypeOf<DeleteChange>();
});
expectTypeOf(db.entry("a")).toEqualTypeOf<Entry<User> | undefined>();
const found = db.entry("a", { tombstones: true });
expectTypeOf(found).toEqualTypeOf<Entry<User> | Tombstone | undefined>();
if (found !== undefined && found.tombstone === undefined) expectTypeOf(found.value).toEqualTypeOf<User>();
expectTypeOf(db.watch("a", () => undefined, { signal: new AbortController().signal })).toEqualTypeOf<Watch>();
// @ts-expect-error a listener has nothing to resume from
db.watch("a", () => undefined, { since: 0 });
// @ts-expect-error options of a stream are one argument
db.watch("a", { since: 0 }, {});
expectTypeOf(db.batch).parameter(0).toEqualTypeOf<Iterable<BatchOperation<User>>>();
// @ts-expect-error another type of value
void db.set("a", 5);
// @ts-expect-error no key
db.get({ id: 1 });
// @ts-expect-error no such option
void db.set("a", { name: "Ada" }, { expires: 5 });
// @ts-expect-error another type of value
void db.batch([{ type: "set", key: "a", value: 5 }]);
// @ts-expect-error a deletion has no value
void db.batch([{ type: "delete", key: "a", value: { name: "Ada" } }]);
// @ts-expect-error no such level
void db.set("a", { name: "Ada" }, { durability: "always" });

// What a transaction gives is what its function gives.
expectTypeOf(db.transact((tx) => tx.get("a"))).toEqualTypeOf<Promise<User | undefined>>();
expectTypeOf(db.transact(async (tx) => tx.count())).toEqualTypeOf<Promise<number>>();
expectTypeOf(db.atomic().set("a", { name: "Ada" }).commit()).toEqualTypeOf<Promise<AtomicOutcome<User>>>();
// @ts-expect-error another type of value
void db.transact((tx) => tx.set("a", "Ada"));

// Who writes for any store or namespace says so by one type, and can take it into transactions, too.
async function moved<V>(store: Store, from: Writable<V>, to: Writable<V>, key: Key): Promise<V | undefined> {
  await store.atomic().in(from).increment(key).in(to).delete(key).commit();
  using snapshot = store.snapshot();
  expectTypeOf(snapshot.in(from)).toEqualTypeOf<Snapshot<V>>();
  expectTypeOf(dump(from)).toEqualTypeOf<AsyncIterable<string>>();
  return store.transact((tx) => {
    const value = tx.in(from).get(key);
    if (value !== undefined) tx.in(to).set(key, value);
    return value;
  });
}
expectTypeOf(moved(anything, db, db.namespace("a"), "a")).toEqualTypeOf<Promise<User | undefined>>();
declare const either: Store<User> | Namespace<User>;
expectTypeOf(db.transact((tx) => tx.in(either).get("a"))).toEqualTypeOf<Promise<User | undefined>>();
expectTypeOf(db.snapshot().in(either)).toEqualTypeOf<Snapshot<User>>();
// @ts-expect-error what is only read is not written to
void db.transact((tx) => tx.in(db.snapshot()));

// A namespace has the store's type of value, or another one.
expectTypeOf(db.namespace("a")).toEqualTypeOf<Namespace<User, User>>();
expectTypeOf(db.namespace<number>("a", { ttl: 1000 })).toEqualTypeOf<Namespace<number, number>>();
expectTypeOf(db.namespace<number>("a").get("a")).toEqualTypeOf<number | undefined>();

// With a schema, what is written is its input and what is read its output.
const inZod = z.object({
  name: z.string(),
  age: z.coerce.number<string>(),
  role: z.string().default("user"),
});
const inValibot = v.object({
  name: v.string(),
  age: v.pipe(v.string(), v.transform(Number)),
  role: v.optional(v.string(), "user"),
});
interface Given {
  name: string;
  age: string;
  role?: string | undefined;
}
interface Stored {
  name: string;
  age: number;
  role: string;
}
const given: Given = { name: "Ada", age: "36" };
for (const users of [
  db.namespace("users", { schema: inZod }),
  db.namespace("users", { schema: inValibot }),
]) {
  expectTypeOf(users.get("a")).toEqualTypeOf<Stored | undefined>();
  expectTypeOf([...users.list()]).toEqualTypeOf<Entry<Stored>[]>();
  expectTypeOf(users.snapshot()).toEqualTypeOf<Snapshot<Stored>>();
  expectTypeOf(users.set).parameter(1).toEqualTypeOf<Given>();
  expectTypeOf(users.set("a", given)).toEqualTypeOf<Promise<Written<Stored>>>();
  expectTypeOf(users.batch).parameter(0).toEqualTypeOf<Iterable<BatchOperation<Given>>>();
  expectTypeOf(users.compareAndSwap).parameter(1).toEqualTypeOf<Stored | undefined>();
  expectTypeOf(users.compareAndSwap).parameter(2).toEqualTypeOf<Given | undefined>();
  users.watch({}, (commit) => expectTypeOf(commit).toEqualTypeOf<CommitEvent<Stored>>());
  expectTypeOf(db.snapshot().in(users)).toEqualTypeOf<Snapshot<Stored>>();
  expectTypeOf(users.snapshot().in(db)).toEqualTypeOf<Snapshot<User>>();
  expectTypeOf(db.transact((tx) => tx.in(users).get("a"))).toEqualTypeOf<Promise<Stored | undefined>>();
  expectTypeOf(db.transact((tx) => tx.in(users).in(db).get("a"))).toEqualTypeOf<Promise<User | undefined>>();
  void db.transact((tx) => {
    tx.in(users).set("a", given);
    // @ts-expect-error the output is not the input
    tx.in(users).set("a", { name: "Ada", age: 36, role: "user" });
  });
  db.atomic().in(users).set("a", given);
  // @ts-expect-error the output is not the input
  db.atomic().in(users).set("a", { name: "Ada", age: 36, role: "user" });
  // @ts-expect-error the output is not the input
  void users.set("a", { name: "Ada", age: 36, role: "user" });
  // @ts-expect-error a member is missing
  void users.set("a", { name: "Ada" });
  expectTypeOf(dump(users)).toEqualTypeOf<AsyncIterable<string>>();
}

// A validator of one's own.
declare const lengths: StandardSchema<string, number>;
expectTypeOf(db.namespace("lengths", { schema: lengths })).toEqualTypeOf<Namespace<string, number>>();
const ofTexts: Codec<string> = { name: "a", encode: (text) => new Uint8Array(text.length), decode: () => "" };
// @ts-expect-error a codec for another type than the schema's output
db.namespace("a", { schema: lengths, codec: ofTexts });
// @ts-expect-error no schema
db.namespace("a", { schema: { parse: () => 1 } });
// @ts-expect-error no such option
db.namespace("a", { lifetime: 5 });
// @ts-expect-error no namespace
void db.transact((tx) => tx.in("users"));
// @ts-expect-error no namespace
db.snapshot().in("users");

// The name of a codec says of what type values are, unless JSON holds them, and nobody says otherwise.
expectTypeOf(await open(undefined, { codec: "bytes" })).toEqualTypeOf<Store<Uint8Array>>();
expectTypeOf(await open("./data", { codec: "text", durability: "relaxed" })).toEqualTypeOf<Store<string>>();
expectTypeOf(await open(undefined, { codec: "bigint" })).toEqualTypeOf<Store<bigint>>();
expectTypeOf(await open(undefined, { codec: "json" })).toEqualTypeOf<Store<unknown>>();
expectTypeOf(await open<User>(undefined, { codec: "json" })).toEqualTypeOf<Store<User>>();
expectTypeOf(await open(undefined, { codec: ofTexts })).toEqualTypeOf<Store<string>>();
expectTypeOf(
  await open(undefined, {
    codec: { name: "b", encode: (_: boolean) => new Uint8Array(1), decode: () => true },
  }),
).toEqualTypeOf<Store<boolean>>();
expectTypeOf(await open<Uint8Array>(undefined, { codec: "bytes" })).toEqualTypeOf<Store<Uint8Array>>();
expectTypeOf(await open<"a" | "b">(undefined, { codec: "text" })).toEqualTypeOf<Store<"a" | "b">>();
declare const anyName: OpenOptions;
expectTypeOf(await open(undefined, anyName)).toEqualTypeOf<Store<unknown>>();
declare const flags: { readonly codec: "json" | "bytes" | "text" };
expectTypeOf(await open(undefined, flags)).toEqualTypeOf<Store<unknown>>();
// @ts-expect-error text holds strings only
void open<number>(undefined, { codec: "text" });
// @ts-expect-error bigints are no numbers
void open<number>(undefined, { codec: "bigint" });
// @ts-expect-error bytes are no strings
void open<string>(undefined, { codec: "bytes" });
// @ts-expect-error what is read is no Buffer
void open<Buffer>(undefined, { codec: "bytes" });
// @ts-expect-error text holds strings only
void (await open(undefined, { codec: "text" })).set("a", 5);
// @ts-expect-error no such codec
void open(undefined, { codec: "xml" });
expectTypeOf(db.namespace("a", { codec: "bytes", ttl: 5 })).toEqualTypeOf<Namespace<Uint8Array>>();
expectTypeOf(db.namespace("a", { codec: "text" })).toEqualTypeOf<Namespace<string>>();
expectTypeOf(db.namespace("a", { codec: "bigint" })).toEqualTypeOf<Namespace<bigint>>();
expectTypeOf(db.namespace("a", { codec: "json" })).toEqualTypeOf<Namespace<User>>();
expectTypeOf(db.namespace<number>("a", { codec: "json" })).toEqualTypeOf<Namespace<number>>();
expectTypeOf(db.namespace<string>("a", { codec: "text" })).toEqualTypeOf<Namespace<string>>();
expectTypeOf(db.namespace("a", { codec: ofTexts })).toEqualTypeOf<Namespace<string>>();
expectTypeOf(db.namespace("a", { schema: z.string(), codec: "text" })).toEqualTypeOf<Namespace<string>>();
// @ts-expect-error text holds strings only
db.namespace<number>("a", { codec: "text" });
// @ts-expect-error text holds strings only
db.namespace("a", { schema: lengths, codec: "text" });

// A reader on another thread has what the store has, for reading.
const reader = await openReader<User>(db.readerHandle());
expectTypeOf(reader.get("a")).toEqualTypeOf<User | undefined>();
expectTypeOf(reader.namespace("a")).toEqualTypeOf<SharedNamespace<User>>();
expectTypeOf(reader.namespace<number>("a", { ttl: 1000 })).toEqualTypeOf<SharedNamespace<number>>();
expectTypeOf(reader.namespace("a", { codec: ofTexts })).toEqualTypeOf<SharedNamespace<string>>();
expectTypeOf(reader.namespace("lengths", { schema: lengths })).toEqualTypeOf<SharedNamespace<number>>();
expectTypeOf(reader.namespaces()).toEqualTypeOf<string[]>();
for (const users of [
  reader.namespace("users", { schema: inZod }),
  reader.namespace("users", { schema: inValibot }),
]) {
  expectTypeOf(users).toEqualTypeOf<SharedNamespace<Stored>>();
  expectTypeOf(users.get("a")).toEqualTypeOf<Stored | undefined>();
  expectTypeOf([...users.list()]).toEqualTypeOf<Entry<Stored>[]>();
  expectTypeOf([...users.values()]).toEqualTypeOf<Stored[]>();
  // @ts-expect-error readers do not write
  void users.set;
}
// @ts-expect-error a codec for another type than the schema's output
reader.namespace("a", { schema: lengths, codec: ofTexts });
// @ts-expect-error no such option
reader.namespace("a", { lifetime: 5 });
expectTypeOf(await openReader(db.readerHandle(), { codec: "text" })).toEqualTypeOf<SharedReader<string>>();
expectTypeOf(await openReader(db.readerHandle(), { codec: "bigint" })).toEqualTypeOf<SharedReader<bigint>>();
expectTypeOf(await openReader(db.readerHandle(), { codec: "bytes" })).toEqualTypeOf<
  SharedReader<Uint8Array>
>();
expectTypeOf(reader.namespace("a", { codec: "text" })).toEqualTypeOf<SharedNamespace<string>>();
expectTypeOf(reader.namespace("a", { codec: "bigint" })).toEqualTypeOf<SharedNamespace<bigint>>();
expectTypeOf(reader.namespace("a", { codec: "bytes" })).toEqualTypeOf<SharedNamespace<Uint8Array>>();
// @ts-expect-error text holds strings only
void openReader<number>(db.readerHandle(), { codec: "text" });
// @ts-expect-error bytes are no numbers
reader.namespace<number>("a", { codec: "bytes" });
