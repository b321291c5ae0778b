import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
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
    expect(status.out).toMatch(/^encryption +key-[0-9a-f]{16}; in use: key-[0-9a-f]{16}, key-[0-9a-f]{16}$/m);
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
