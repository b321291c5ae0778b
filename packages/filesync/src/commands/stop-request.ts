/** The wish that the process may stop. */
export interface StopRequest {
  /** Resolves when the process is asked to stop. */
  readonly asked: Promise<void>;
  /** Lets the process end: an open standard input that is listened to would keep it alive. */
  release(): void;
}

/** Listens to signals, and to the end of standard input if wished. A second signal ends the process at once. */
export function stopRequest(untilStdinEnds: boolean): StopRequest {
  let stop = (): void => {};
  const asked = new Promise<void>((resolve) => {
    stop = resolve;
  });
  let signals = 0;
  const ask = (): void => {
    if (signals++ > 0) process.exit(130);
    stop();
  };
  process.on("SIGINT", ask);
  process.on("SIGTERM", ask);
  // Whoever read the status lines is gone.
  process.stdout.on("error", stop);
  if (untilStdinEnds) {
    process.stdin.on("end", stop).on("error", stop);
    process.stdin.resume();
  }
  return {
    asked,
    release() {
      if (untilStdinEnds) process.stdin.destroy();
    },
  };
}
