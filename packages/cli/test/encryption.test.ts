import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { open } from "fulmar";
import { describe, expect, test } from "vitest";
import { KEY_VARIABLE } from "../src/encryption.js";
import { freshPath, fulmar } from "./support.js";

const KEY = new Uint8Array(32).fill(7);
const HEX = "07".repeat(32);

async function keyFile(content: Uint8Array | string): Promise<string> {
  const path = await freshPath("key");
  await writeFile(path, content);
  return path;
}

async function storedText(directory: string): Promise<string> {
  return readFile(join(directory, "log/000000000001.log"), "latin1");
}

describe("an encrypted store", () => {
  test.each([
    ["raw bytes", KEY],
    ["hexadecimal digits", `${HEX}\n`],
    ["base64", Buffer.from(KEY).toString("base64")],
  ])("is made and read with a key file of %s", async (_form, content) => {
    const directory = await freshPath();
    const path = await keyFile(content);
    const made = await fulmar(["set", directory, "name", '"Ada"', "--create", "--key-file", path]);
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(await storedText(directory)).not.toContain("Ada");
    const read = await fulmar(["get", directory, "name"], { environment: { FULMAR_KEY: HEX } });
    expect(read).toMatchObject({ code: 0, out: '"Ada"\n' });
    expect((await fulmar(["--key-file", path, "check", directory])).code).toBe(0);
  });

  test("without its key, or with another one, is left alone", async () => {
    const directory = await freshPath();
    const path = await keyFile(KEY);
    await fulmar(["set", directory, "name", '"Ada"', "--create", "--key-file", path]);
    for (const command of ["list", "check", "status", "dump", "repair"]) {
      const missing = await fulmar([command, directory]);
      expect(missing, command).toMatchObject({ code: 5, out: "" });
      expect(missing.err).toMatch(/\[ENCRYPTION_KEY_MISSING\]\n.*--key-file PATH/);
      const wrong = await fulmar([command, directory], { environment: { FULMAR_KEY: "08".repeat(32) } });
      expect(wrong.err).toContain("[ENCRYPTION_KEY_WRONG]");
    }
  });

  test("is backed up, restored under a new key, and tells which keys it needs", async () => {
    const directory = await freshPath();
    const [former, next] = [await keyFile(KEY), await keyFile(new Uint8Array(32).fill(9))];
    await fulmar(["set", directory, "name", '"Ada"', "--create", "--key-file", former]);
    const [backup, restored] = [await freshPath("a.backup"), await freshPath("restored")];
    expect((await fulmar(["backup", directory, backup, "--key-file", former])).code).toBe(0);
    expect(await readFile(backup, "latin1")).not.toContain("Ada");
    expect((await fulmar(["restore", backup, restored, "--key-file", next])).code).toBe(5);
    const both = ["--key-file", next, "--key-file", former];
    expect(await fulmar(["restore", backup, restored, ...both])).toMatchObject({ code: 0, err: "" });
    expect((await fulmar(["get", restored, "name", "--key-file", next])).out).toBe('"Ada"\n');
    const status = await fulmar(["status", directory, ...both]);
    const [, own] = /^encryption +(key-[0-9a-f]{16}); in use: \1$/m.exec(status.out) ?? [];
    const other = await fulmar(["status", restored, "--key-file", next]);
    const [, its] = /^encryption +(key-[0-9a-f]{16}); in use: \1$/m.exec(other.out) ?? [];
    expect([own, its].every((id) => id !== undefined) && own !== its).toBe(true);
  });

  test("a file that holds no key is refused without being shown", async () => {
    const directory = await freshPath();
    const path = await keyFile("hunter2");
    const refused = await fulmar(["list", directory, "--key-file", path]);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).not.toContain("hunter2");
    expect(await fulmar(["list", directory, "--key-file", `${path}.none`])).toMatchObject({ code: 2 });
    const variable = await fulmar(["list", directory], { environment: { FULMAR_KEY: "hunter2" } });
    expect(variable).toMatchObject({ code: 2 });
    expect(variable.err).not.toContain("hunter2");
  });
});

/** What each file of a store says of its encryption: the flag in its header, and its key section. */
async function sealsOf(directory: string): Promise<Map<string, string>> {
  const seals = new Map<string, string>();
  for (const [part, flag, at] of [
    ["log", 2, 68],
    ["checkpoint", 8, 108],
  ] as const) {
    for (const name of await readdir(join(directory, part))) {
      const bytes = await readFile(join(directory, part, name));
      const id = bytes.subarray(at + 36, at + 36 + bytes.readUInt32LE(at + 32)).toString();
      seals.set(`${part}/${name}`, (bytes[12] & flag) === 0 ? "plain" : id);
    }
  }
  return seals;
}

/** Every file's bytes. */
async function contentOf(directory: string): Promise<Map<string, string>> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  return new Map(
    await Promise.all(paths.map(async (path) => [path, await readFile(path, "latin1")] as const)),
  );
}

/** One of each command that opens a store, in an order in which each succeeds. */
async function everyCommand(directory: string): Promise<string[][]> {
  return [
    ["get", directory, "name"],
    ["list", directory],
    ["namespaces", directory],
    ["status", directory],
    ["dump", directory],
    ["check", directory],
    ["repair", directory],
    ["backup", directory, await freshPath("a.backup")],
    ["set", directory, "city", '"Berlin"'],
    ["delete", directory, "city"],
  ];
}

describe("no command changes how a store is encrypted", () => {
  const environment = { FULMAR_KEY: HEX };

  test.each(["--key-file", KEY_VARIABLE])(
    "a plain one stays plain, though a key is given: %s",
    async (way) => {
      const directory = await freshPath();
      const db = await open<string>(directory);
      await db.set("name", "Ada");
      await db.checkpoint();
      await db.set("name", "Grace");
      await db.close();
      const path = await keyFile(KEY);
      const withKey = (command: string[], given: { input?: string } = {}) =>
        way === KEY_VARIABLE
          ? fulmar(command, { ...given, environment })
          : fulmar([...command, "--key-file", path], given);
      for (const command of await everyCommand(directory)) {
        expect(await withKey(command), command[0]).toMatchObject({ code: 0, err: "" });
        expect([...new Set((await sealsOf(directory)).values())], command[0]).toEqual(["plain"]);
        expect((await fulmar(["get", directory, "name"])).out, command[0]).toBe('"Grace"\n');
      }
      expect((await withKey(["status", directory])).out).toMatch(/^encryption +off; in use: plain files$/m);
      const input = (await fulmar(["dump", directory])).out;
      expect((await withKey(["load", directory], { input })).code).toBe(0);
      expect([...new Set((await sealsOf(directory)).values())]).toEqual(["plain"]);
    },
  );

  test("one whose keys have names keeps them: its own program opens it again", async () => {
    const directory = await freshPath();
    const encryption = { current: "2026", getKey: (id: string) => (id === "2026" ? KEY : undefined) };
    const db = await open<string>(directory, { encryption });
    await db.set("name", "Ada");
    await db.checkpoint();
    await db.close();
    for (const command of await everyCommand(directory)) {
      expect(await fulmar(command, { environment }), command[0]).toMatchObject({ code: 0, err: "" });
      expect([...new Set((await sealsOf(directory)).values())], command[0]).toEqual(["2026"]);
    }
    const again = await open<string>(directory, { encryption });
    expect(again.get("name")).toBe("Ada");
    await again.close();
  });

  test("a wrong key and none leave every byte as it was", async () => {
    const directory = await freshPath();
    const path = await keyFile(KEY);
    await fulmar(["set", directory, "name", '"Ada"', "--create", "--key-file", path]);
    const before = await contentOf(directory);
    for (const command of await everyCommand(directory)) {
      expect(await fulmar(command), command[0]).toMatchObject({ code: 5, out: "" });
      const wrong = await fulmar(command, { environment: { FULMAR_KEY: "08".repeat(32) } });
      expect(wrong, command[0]).toMatchObject({ code: 5, out: "" });
      expect(wrong.err, command[0]).toContain("[ENCRYPTION_KEY_WRONG]");
      expect(await contentOf(directory), command[0]).toEqual(before);
    }
  });

  test("a repair goes on as the log was, also where that is plain", async () => {
    for (const key of [undefined, KEY]) {
      const directory = await freshPath();
      const encryption = key === undefined ? {} : { encryption: { current: "2026", getKey: () => key } };
      const db = await open<string>(directory, encryption);
      for (const name of ["Ada", "Grace", "Edsger"]) await db.set(name, name);
      await db.close();
      const log = join(directory, "log/000000000001.log");
      const bytes = await readFile(log);
      bytes[bytes.length - 3] ^= 1;
      await writeFile(log, bytes);
      expect(await fulmar(["repair", directory], { environment })).toMatchObject({ code: 0, err: "" });
      const seals = new Set((await sealsOf(directory)).values());
      expect([...seals]).toEqual([key === undefined ? "plain" : "2026"]);
      const again = await open<string>(directory, encryption);
      expect(again.get("Ada")).toBe("Ada");
      await again.close();
    }
  });
});
