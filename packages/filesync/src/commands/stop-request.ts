/** Resolves when the process is asked to stop. A second signal ends it at once. */
export function stopRequest(untilStdinEnds: boolean): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      // An open standard input would keep the process alive.
      if (untilStdinEnds) process.stdin.destroy();
      resolve();
    };
    const ask = (): void => {
      if (asked) process.exit(130);
      asked = true;
      stop();
    };
    process.on("SIGINT", ask);
    process.on("SIGTERM", ask);
    // Whoever read the status lines is gone.
    process.stdout.on("error", stop);
    if (!untilStdinEnds) return;
    process.stdin.on("end", stop).on("error", stop);
    process.stdin.resume();
  });
}
