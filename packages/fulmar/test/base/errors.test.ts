import { expect, it } from "vitest";
import { fileError, isNoMemory } from "../../src/base/errors.js";

it.each([
  ["ENOSPC", "DISK_FULL", "free some space"],
  ["EDQUOT", "DISK_FULL", "free some space"],
  ["EFBIG", "DISK_FULL", "ulimit -f"],
  ["EACCES", "ACCESS_DENIED", "check owner and mode"],
  ["EROFS", "ACCESS_DENIED", "mount it for writing, or copy the directory elsewhere and open the copy"],
  ["ERR_ACCESS_DENIED", "ACCESS_DENIED", "permission model"],
  ["EMFILE", "IO_ERROR", "ulimit -n"],
  ["ENFILE", "IO_ERROR", "ulimit -n"],
])("an error %s of the system is %s, and its message says what helps", (system, code, remedy) => {
  const cause = Object.assign(new Error("told by the system"), { code: system });
  const error = fileError(cause, "write", "/data/MANIFEST");
  expect(error).toMatchObject({ code, cause, details: { system, path: "/data/MANIFEST" } });
  expect(error.message).toContain("write /data/MANIFEST");
  expect(error.message).toContain(remedy);
  if (system !== "ENOSPC" && system !== "EDQUOT") expect(error.message).not.toContain("free some space");
});

it("an error of the device has no remedy of its own", () => {
  const error = fileError(Object.assign(new Error("broken"), { code: "EIO" }), "read", "/data/MANIFEST");
  expect(error).toMatchObject({ code: "IO_ERROR", message: "cannot read /data/MANIFEST (EIO)" });
});

it("no memory for a buffer is known by what the platform throws, and is nothing else that it throws", () => {
  const thrown = (action: () => unknown): unknown => {
    try {
      return action();
    } catch (error) {
      return error;
    }
  };
  const deep = (): number => 1 + deep();
  expect(isNoMemory(thrown(() => new ArrayBuffer(Number.MAX_SAFE_INTEGER)))).toBe(true);
  expect(isNoMemory(thrown(() => new SharedArrayBuffer(Number.MAX_SAFE_INTEGER)))).toBe(true);
  expect(thrown(deep)).toBeInstanceOf(RangeError);
  expect(isNoMemory(thrown(deep))).toBe(false);
  expect(isNoMemory(thrown(() => new Array(-1)))).toBe(false);
});
