import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  dump,
  type Key,
  keyFromJson,
  keyToJson,
  type LoadOptions,
  load,
  open,
  type Store,
} from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { anyKey as keys } from "../keys/arbitrary.js";

type Bytes = Store<Uint8Array>;

const utf8 = new TextEncoder();

async function inBytes(): Promise<Bytes> {
  return open<Uint8Array>(undefined, { codec: "bytes" });
}

async function textOf(lines: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of lines) text += piece;
  return text;
}

/** Loads lines into an empty store and returns the error, with what is stored then. */
async function refusal(
  lines: Iterable<string | Uint8Array>,
  options: LoadOptions = {},
): Promise<{ code?: unknown; line?: unknown; stored: number }> {
  await using db = await inBytes();
  const error = await load(db, lines, options).then(
    () => ({}),
    (thrown: { code: string; details?: { line?: number } }) => ({
      code: thrown.code,
      line: thrown.details?.line,
    }),
  );
  return { ...error, stored: db.count() };
}

const DEEP = `${"[".repeat(1e6)}${"]".repeat(1e6)}`;

function canParse(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const line = (rest: string, n = 1): string => `{"key":${n},${rest}}\n`;

describe("a dump", () => {
  test("brings back any key and any bytes, whatever the codec and the pieces", async () => {
    const texts = fc.oneof(
      fc.json(),
      fc.constantFrom(
        "1e400",
        " 1",
        '{"a":1,"a":2}',
        '"\\ud800"',
        "-0",
        '{"__proto__":1}',
        "\u2028",
        "\ufeff1",
        "",
      ),
      fc.string({ unit: "binary" }),
    );
    const values = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      texts.map((text) => utf8.encode(text)),
    );
    const deadlines = fc.option(fc.integer({ min: 4e12, max: Number.MAX_SAFE_INTEGER }), { nil: undefined });
    const entries = fc.array(fc.tuple(keys, values, deadlines), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(entries, fc.integer({ min: 1, max: 50 }), async (given, step) => {
        await using db = await inBytes();
        for (const [key, value, expiresAt] of given) {
          await db.set(key, value, expiresAt === undefined ? {} : { expiresAt });
        }
        const bytes = utf8.encode(await textOf(dump(db)));
        // One buffer for all pieces, as a file reader may use it.
        function* pieces(): Generator<Uint8Array> {
          const buffer = new Uint8Array(step);
          for (let at = 0; at < bytes.length; at += step) {
            const piece = bytes.subarray(at, at + step);
            buffer.set(piece);
            yield buffer.subarray(0, piece.length);
          }
        }
        await using copy = await inBytes();
        const { entries: loaded } = await load(copy, pieces(), { batchEntries: 3 });
        expect(loaded).toBe(db.count());
        const plain = (store: Bytes): unknown[] =>
          [...store.list()].map(({ key, value, expiresAt }) => [key, value, expiresAt]);
        expect(plain(copy)).toEqual(plain(db));
      }),
      { numRuns: 60 },
    );
  });

  test("is lines that people can read", async () => {
    await using db = await open<unknown>();
    await db.set("user:1", { name: "Ada" });
    await db.set(["n", -0.5, 12n], 1, { expiresAt: 4_000_000_000_000 });
    await db.set("gone", 1);
    await db.delete("gone");
    expect((await textOf(dump(db))).split("\n")).toEqual([
      '{"dump":1,"version":4}',
      '{"key":"user:1","value":{"name":"Ada"}}',
      '{"key":["n",-0.5,{"bigint":"12"}],"expiresAt":4000000000000,"value":1}',
      '{"end":2}',
      "",
    ]);
    expect(await textOf(dump(db, { prefix: "user:" }))).toContain('{"end":1}');
    await using text = await open<string>(undefined, { codec: "text" });
    await text.set("k", "a\nb");
    await using bytes = await inBytes();
    await bytes.set("k", Uint8Array.of(255, 0));
    expect(await textOf(dump(text))).toContain('{"key":"k","text":"a\\nb"}\n');
    expect(await textOf(dump(bytes))).toContain('{"key":"k","bytes":"/wA="}\n');
  });

  test("is what the documentation shows", async () => {
    const path = fileURLToPath(new URL("../../../../docs/format/dump.md", import.meta.url));
    const shown = /```text\n(.*?)```/s.exec(readFileSync(path, "utf8"))?.[1];
    await using db = await inBytes();
    await db.set("user:1", utf8.encode('{"name":"Ada","tags":[]}'), { expiresAt: 4_000_000_000_000 });
    await db.set(-0.5, utf8.encode("1"));
    await db.set(["order", 12n, Uint8Array.of(0, 1), true], utf8.encode("null"));
    await db.set("note", utf8.encode("two\nlines"));
    await db.set("photo", Uint8Array.of(0xff, 0xd8, 0xff));
    await db.delete("nothing");
    await db.namespace("users").set("ada", utf8.encode('{"age":36}'));
    expect(await textOf(dump(db))).toBe(shown);
  });

  test("shows one state, in bounded pieces, without the store's own data", async () => {
    await using db = await open<string>();
    await portOf(db).setReserved(Uint8Array.of(0xf6, 1), Uint8Array.of(1));
    await db.batch(Array.from({ length: 5000 }, (_, n) => ({ type: "set", key: n, value: "x".repeat(100) })));
    let [pieces, longest, text] = [0, 0, ""];
    for await (const piece of dump(db)) {
      await db.set(["later", pieces++], "y");
      await db.delete(4999 - pieces);
      longest = Math.max(longest, piece.length);
      text += piece;
    }
    expect(pieces).toBeGreaterThan(5);
    expect(longest).toBeLessThan(70_000);
    expect(text.endsWith('{"end":5000}\n')).toBe(true);
    expect(text.split("\n")).toHaveLength(5003);
  });

  test("ends its pin with the iteration, and with CLOSED when the store closes", async () => {
    const db = await open<string>();
    await db.batch(Array.from({ length: 3000 }, (_, n) => ({ type: "set", key: n, value: "x".repeat(100) })));
    for await (const _ of dump(db)) break;
    for (let n = 0; n < 100; n++) await db.set(n, "new");
    // What a pin holds stays; what nobody holds is let go of as writes go on.
    expect(db.status().memory.oldVersions).toBeLessThan(50);
    const lines = dump(db)[Symbol.asyncIterator]();
    await lines.next();
    await db.close();
    await expect(lines.next()).rejects.toMatchObject({ code: "CLOSED" });
    expect(() => dump(db)).toThrow(expect.objectContaining({ code: "CLOSED" }));
    expect(() => dump({} as Store)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("loading", () => {
  test("takes lines made by hand: no head, no end, blank lines, no last newline", async () => {
    await using db = await open<unknown>();
    const made = await load(db, ['{"key":"a","value":{"n":1}}\r\n\n  \n{"key":true,', '"text":"2"}']);
    expect(made).toEqual({ entries: 2, commits: 1 });
    expect([db.get("a"), db.get(true)]).toEqual([{ n: 1 }, 2]);
  });

  test("shows as JSON only what any reader has the stack for", async () => {
    await using db = await open<string>(undefined, { codec: "text" });
    const nested = (depth: number): string => `${"[".repeat(depth)}1${"]".repeat(depth)}`;
    const objects = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
    const flat = JSON.stringify(Array.from({ length: 2000 }, () => ["[{", '\\"[']));
    const values = [nested(1000), nested(1001), objects(1000), objects(1001), flat];
    await Promise.all(values.map((value, key) => db.set([key], value)));
    const text = await textOf(dump(db));
    const forms = text.split("\n").map((shown) => /,"(value|text)":/.exec(shown)?.[1]);
    expect(forms.slice(1, -2)).toEqual(["value", "text", "value", "text", "value"]);
    await using copy = await open<string>(undefined, { codec: "text" });
    await load(copy, [text]);
    expect(values.map((_, key) => copy.get([key]))).toEqual(values);
  });

  test("names the line that is wrong, and keeps what stands before it", async () => {
    const wrong = [
      "nonsense\n",
      "[]\n",
      '"x"\n',
      "null\n",
      '{"value":1}\n',
      '{"key":null,"value":1}\n',
      '{"key":{"bytes":"A"},"value":1}\n',
      '{"key":{"bigint":"1x"},"value":1}\n',
      '{"key":{"number":"NaN"},"value":1}\n',
      `{"key":"${"k".repeat(5000)}","value":1}\n`,
      line('"value":1,"text":"x"'),
      line('"value":1,"ttl":5'),
      line('"bytes":"/w"'),
      line('"bytes":"/x=="'),
      line('"bytes":5'),
      line('"text":5'),
      line('"text":"\\ud800"'),
      // Which from Node 26 on JSON.parse has no limit for.
      ...[DEEP].filter((text) => !canParse(text)).map((text) => line(`"value":${text}`)),
      line('"value":1,"expiresAt":0'),
      line('"value":1,"expiresAt":1.5'),
      line('"value":1,"expiresAt":"soon"'),
      '{"dump":1}\n',
      '{"end":"x"}\n',
      '{"end":7}\n',
      Uint8Array.of(0x22, 0xff, 0x22, 10),
    ];
    for (const bad of wrong) {
      const found = await refusal([line('"value":1', 1), line('"value":2', 2), bad, line('"value":3', 3)]);
      expect(found, String(bad)).toEqual({ code: "DUMP_INVALID", line: 3, stored: 2 });
    }
    expect(await refusal(['{"dump":2}\n'])).toMatchObject({ code: "FORMAT_NEWER" });
    expect(await refusal([5 as never])).toMatchObject({ code: "DUMP_INVALID", line: 1 });
    expect(await refusal(5 as never)).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await refusal([], { durability: "some" as never })).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("T-FUZZ-01: any bytes at all end in a typed error or are loaded", async () => {
    const near = fc.constantFrom(
      '{"key":',
      '"value":',
      "1}",
      "\n",
      '{"dump":1}\n',
      '{"end":0}\n',
      "[[[[",
      "{",
      '"',
    );
    const noise = fc.oneof(fc.uint8Array({ maxLength: 20 }), near);
    await fc.assert(
      fc.asyncProperty(fc.array(noise, { maxLength: 12 }), async (pieces) => {
        const { code } = await refusal(pieces);
        expect([undefined, "DUMP_INVALID"]).toContain(code);
      }),
      { numRuns: 200 },
    );
  });

  test("tells a dump that was cut off, at every byte, from a whole one", async () => {
    await using db = await open<unknown>();
    await db.set("a", 1);
    await db.set("b", 2);
    const text = await textOf(dump(db));
    // Without the newline at its very end it is whole.
    for (let length = 1; length < text.length - 1; length++) {
      expect((await refusal([text.slice(0, length)])).code, text.slice(0, length)).toBe("DUMP_INVALID");
    }
    expect(await refusal([text, line('"value":1')])).toMatchObject({ code: "DUMP_INVALID" });
    await using copy = await open<unknown>();
    expect(await load(copy, [text])).toEqual({ entries: 2, commits: 1 });
  });

  test("holds no line longer than the longest value", async () => {
    await using db = await open<unknown>(undefined, { limits: { valueBytesMax: 1000 } });
    let given = 0;
    function* endless(): Generator<string> {
      for (; ; given++) yield '"'.padEnd(1000);
    }
    await expect(load(db, endless())).rejects.toMatchObject({ code: "DUMP_INVALID", details: { line: 1 } });
    expect(given).toBeLessThan(100);
    await expect(load(db, [line(`"text":"${"x".repeat(1001)}"`)])).rejects.toMatchObject({
      code: "DUMP_INVALID",
    });
  });

  test("takes no number that JavaScript cannot hold for another value", async () => {
    await using db = await open<unknown>();
    const digits = "9".repeat(400);
    for (const json of ["1e999", "-1E+0400", digits, `${digits.slice(0, 220)}e99`, `[{"a":1.5e309}]`]) {
      expect(await refusal([line(`"value":${json}`)]), json).toEqual({
        code: "DUMP_INVALID",
        line: 1,
        stored: 0,
      });
    }
    expect(await refusal(['{"key":1e999,"value":1}\n'])).toMatchObject({ code: "DUMP_INVALID" });
    const fine = ["1e308", "1e-999", '"1e999"', `"${digits}"`, '{"1e999":1}'];
    await load(
      db,
      fine.map((json, n) => line(`"value":${json}`, n)),
    );
    expect(db.count()).toBe(fine.length);
    expect([...db.list()].map(({ value }) => value)).toEqual(fine.map((json) => JSON.parse(json)));
  });

  test("can be stopped, and goes by batches", async () => {
    await using db = await open<unknown>();
    const stop = new AbortController();
    const lines = Array.from({ length: 100 }, (_, n) => line('"value":1', n));
    const onProgress = ({ entries }: { entries: number }): void => {
      if (entries >= 30) stop.abort();
    };
    const stopped = load(db, lines, { batchEntries: 10, signal: stop.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    expect(db.count()).toBe(30);
    expect(await load(db, lines, { batchEntries: 40 })).toEqual({ entries: 100, commits: 3 });
  });

  test("can be stopped when its batches are full of large values, too", async () => {
    await using db = await open<unknown>();
    const stop = new AbortController();
    const lines = Array.from({ length: 40 }, (_, n) => line(`"value":"${"x".repeat(1_000_000)}"`, n));
    const stopped = load(db, lines, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    expect(db.count()).toBe(4);
  });

  test("goes by batches that the store's own limits allow", async () => {
    const lines = Array.from({ length: 100 }, (_, n) => line('"value":1', n));
    for (const limits of [{ commitEntriesMax: 7 }, { commitBytesMax: 200 }]) {
      await using db = await open<unknown>(undefined, { limits });
      expect((await load(db, lines)).entries).toBe(100);
      expect(db.count()).toBe(100);
    }
  });
});

test("keys as JSON are read back as the same keys", () => {
  fc.assert(
    fc.property(keys, (key: Key) => {
      expect(keyFromJson(JSON.parse(JSON.stringify(keyToJson(key))))).toEqual(key);
    }),
  );
  let deep: unknown = 1;
  for (let i = 0; i < 70; i++) deep = [deep];
  for (const wrong of [null, {}, { bytes: 1 }, { bytes: "A", x: "" }, { bigint: "9".repeat(20_000) }, deep]) {
    expect(() => keyFromJson(wrong)).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
  }
});
