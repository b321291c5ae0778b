/** Resolves when the process is asked to stop. A second signal ends it at once. */
export function stopRequest(untilStdinEnds: boolean): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = (): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    process.on("SIGINT", ask);
    process.on("SIGTERM", ask);
    // Whoever read the status lines is gone.
    process.stdout.on("error", () => resolve());
    if (!untilStdinEnds) return;
    process.stdin.on("end", resolve).on("close", resolve).on("error", () => resolve());
    process.stdin.resume();
  });
}
