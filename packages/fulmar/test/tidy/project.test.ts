import { describe, expect, it } from "vitest";
import {
  checkLicenses,
  checkMachineTraces,
  checkNoDependencies,
  checkVersions,
} from "../../../../scripts/tidy/project.ts";
import { expectClean, project, projectFile } from "./checks.js";

const manifest = (path: string, content: object) => ({ path, text: JSON.stringify(content) });
const { workspaces } = JSON.parse(projectFile("package.json").text) as { workspaces: string[] };

describe("packages", () => {
  it("have one version", () => {
    expectClean(
      checkVersions(["package.json", ...workspaces.map((path) => `${path}/package.json`)].map(projectFile)),
    );
    const one = manifest("a/package.json", { name: "a", version: "1.0.0" });
    expect(checkVersions([one, manifest("b/package.json", { name: "b", version: "1.0.1" })])).toHaveLength(1);
    const loose = { name: "b", version: "1.0.0", dependencies: { a: "^1.0.0", other: "^2.0.0" } };
    expect(checkVersions([one, manifest("b/package.json", loose)])).toHaveLength(1);
  });

  it("leave the library without dependencies", () => {
    expectClean(checkNoDependencies(projectFile("packages/fulmar/package.json")));
    expect(checkNoDependencies(manifest("package.json", { dependencies: { a: "1" } }))).toHaveLength(1);
    expect(checkNoDependencies(manifest("package.json", { peerDependencies: { a: "1" } }))).toHaveLength(1);
  });

  it("each carry the licence", () => {
    const published = workspaces.filter((path) => path.startsWith("packages/"));
    expectClean(checkLicenses(projectFile("LICENSE"), project, published));
    const other = { path: "packages/a/LICENSE", text: "Another licence" };
    expect(checkLicenses(projectFile("LICENSE"), [other], ["packages/a", "packages/b"])).toHaveLength(2);
  });
});

describe("files", () => {
  it("tell nothing about the machine that they were written on", () => {
    expectClean(checkMachineTraces(project));
    const traces = [
      `"resolved": ${'"'}https://example.org/a.tgz"`,
      `https://${"registry"}.example.org/a`,
      `cd /${"root"}/src`,
      `"/${"home"}/ada/src"`,
    ];
    for (const text of traces) expect(checkMachineTraces([{ path: "a.md", text }]), text).toHaveLength(1);
    expect(
      checkMachineTraces([{ path: "a.md", text: "packages/work/a, ./home/b, https://example.org/root/x" }]),
    ).toEqual([]);
  });
});
