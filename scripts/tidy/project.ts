import type { Finding, Source } from "./source.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** All packages at one version, and those that need each other at exactly that version. */
export function checkVersions(manifests: readonly Source[]): Finding[] {
  const parsed = manifests.map(({ path, text }) => ({ path, manifest: JSON.parse(text) as Manifest }));
  const names = new Set(parsed.map(({ manifest }) => manifest.name));
  const wanted = parsed[0]?.manifest.version;
  return parsed.flatMap(({ path, manifest }) => {
    const findings: Finding[] = [];
    if (manifest.version !== wanted)
      findings.push({ path, message: `version ${manifest.version}, not ${wanted}` });
    for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
      const message = `needs ${name} ${range}: own packages go together at exactly ${wanted}`;
      if (names.has(name) && range !== wanted) findings.push({ path, message });
    }
    return findings;
  });
}

/** The library installs nothing but itself. */
export function checkNoDependencies(manifest: Source): Finding[] {
  const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(manifest.text) as Manifest;
  return Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies }).map((name) => ({
    path: manifest.path,
    message: `depends on ${name}: the library has no dependencies at run time`,
  }));
}

/** Places that exist on one machine only: where packages were fetched from, and somebody's directories. */
export function checkMachineTraces(sources: readonly Source[]): Finding[] {
  const patterns: readonly (readonly [RegExp, string])[] = [
    [/"resolved":\s*"https?:/, "where a package was fetched from"],
    [/https?:\/\/[^\s"'`)]*\b(registry|artifactory|verdaccio|nexus)\b/, "the address of a package registry"],
    [/(?<![\w.~$}/-])\/(root|work|home|Users)\/[\w.-]/, "a path of one machine"],
    [/\b[A-Z]:\\\\?Users\\/, "a path of one machine"],
  ];
  return sources.flatMap(({ path, text }) =>
    text
      .split("\n")
      .flatMap((content, index) =>
        patterns
          .filter(([pattern]) => pattern.test(content))
          .map(([, what]) => ({ path, line: index + 1, message: `holds ${what}` })),
      ),
  );
}

/** The licence goes with each package, word for word. */
export function checkLicenses(
  license: Source | undefined,
  copies: readonly Source[],
  packages: readonly string[],
): Finding[] {
  return packages.flatMap((directory) => {
    const copy = copies.find(({ path }) => path === `${directory}/LICENSE`);
    if (copy !== undefined && copy.text === license?.text) return [];
    return [
      { path: `${directory}/LICENSE`, message: "must be there and equal to the LICENSE of the project" },
    ];
  });
}
