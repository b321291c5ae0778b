/** The text after the last step: a table of steps, the skipped tests with reasons, and the totals. */
export function summarize(results) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const rows = results.map((result) => {
    totals.passed += result.passed;
    totals.failed += result.failed;
    totals.skipped += result.skipped.length;
    return [
      result.name,
      result.failed > 0 ? "FAILED" : result.passed > 0 ? "ok" : "skipped",
      seconds(result.durationMs),
      `${result.passed}/${result.passed + result.failed}`,
    ];
  });
  const skipped = results.flatMap((result) => result.skipped);
  return [
    ...table([["step", "result", "time", "passed"], ...rows]),
    ...(skipped.length > 0
      ? ["", "skipped:", ...skipped.map(({ name, reason }) => `  ${name}: ${reason}`)]
      : []),
    "",
    `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`,
  ].join("\n");
}

export function seconds(durationMs) {
  return `${(durationMs / 1000).toFixed(1)} s`;
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
}
