/** Seeds that once failed; every sample runs them again. */
export const REGRESSIONS: readonly string[] = [
  "1795272935045",
  "1795318828227",
  "1795319510314",
  "1795365741012",
  "1795435020436",
  // A pull that was shown page by page, whose sender was lost for good before the last one.
  "151",
];
