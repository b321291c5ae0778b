import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { DirectoryLooks } from "../src/directory-looks.js";
import { Root } from "../src/root.js";
import { temporaryDirectory } from "./harness.js";

test("finds what is not known, in new directories too, and never through links", async () => {
  const directory = await temporaryDirectory();
  const root = await Root.open(directory);
  await mkdir(join(directory, "new/deep"), { recursive: true });
  for (const path of ["known", "unknown", "new/deep/f"]) await writeFile(join(directory, path), "");
  await symlink(join(directory, "new"), join(directory, "link"));
  const found: string[] = [];
  const looks = new DirectoryLooks(
    root,
    (path) => path === "known",
    (path) => found.push(path),
  );
  looks.mark("");
  looks.mark("link");
  await vi.waitFor(
    () => expect([...found].sort()).toEqual(["new", "new/deep", "new/deep/f", "unknown"]),
    100_000,
  );
  looks.close();
});

test("a look that is under way when it is closed asks nothing any more", async () => {
  const root = await Root.open(await temporaryDirectory());
  await writeFile(root.absolute("f"), "");
  let release = (): void => {};
  const asked = vi.spyOn(root, "isDirectory").mockImplementation(
    () =>
      new Promise<boolean>((resolve) => {
        release = () => resolve(true);
      }),
  );
  const isKnown = vi.fn(() => true);
  const looks = new DirectoryLooks(root, isKnown, () => {});
  looks.mark("");
  await vi.waitFor(() => expect(asked).toHaveBeenCalled(), 100_000);
  const listed = vi.spyOn(root, "absolute");
  looks.close();
  release();
  await vi.waitFor(() => expect(listed).toHaveBeenCalled(), 100_000);
  // The directory is read off the event loop; whatever follows it has run once this read is through.
  await Root.open(root.directory);
  expect(isKnown).not.toHaveBeenCalled();
});
