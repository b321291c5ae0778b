import { codeOf } from "../../../src/base/errors.js";
import type { CommitEvent, Store, WatchStream } from "../../../src/index.js";
import type { Prng } from "../../../src/testing/index.js";
import { must } from "./machine.js";
import type { Commit, Expectation } from "./oracle.js";

/** Reading the history takes a few turns of the event loop for each commit; this many mean that nothing comes. */
const TURNS_MAX = 2000;
const LIVE = "~ live";

/**
 * A watch that resumes after the crash shows every commit that was found behind its version, once, whole and in
 * order, and then live ones; or it says that it cannot: never a hole. It can when the store says that it keeps
 * what is needed, and it cannot from a commit that is lost.
 */
export async function checkResuming(db: Store<string>, expectation: Expectation, prng: Prng): Promise<void> {
  const all = [...(expectation.past ?? []), ...expectation.commits];
  const found = all.filter(({ version = 0 }) => version <= db.version);
  const lost = all.filter(({ version = 0 }) => version > db.version);
  const { oldest } = db.status().history;
  const known = [0, ...found.map(({ version = 0 }) => version)];
  const since = [0, prng.pick(known), known.at(-1) ?? 0];
  const streams = since.map((version) => db.watch({}, { since: version }));
  const late = lost.length === 0 ? undefined : prng.pick(lost).version;
  const { version: live } = await db.set(LIVE, "x");
  for (const [i, stream] of streams.entries()) {
    const behind = found.filter(({ version = 0 }) => version > since[i]);
    await checkStream(stream, behind, live, since[i] < oldest);
  }
  if (late !== undefined && late !== live)
    await checkStream(db.watch({}, { since: late }), [], live, true, true);
}

async function checkStream(
  stream: WatchStream<string>,
  behind: readonly Commit[],
  live: number,
  mayRefuse: boolean,
  mustRefuse = false,
): Promise<void> {
  const seen: string[] = [];
  try {
    for (;;) {
      const event = await next(stream);
      must(event !== undefined, "a watch ended that nobody closed");
      if (event.version === live) break;
      seen.push(briefEvent(event));
    }
  } catch (error) {
    must(codeOf(error) === "COMPACTED", `a watch that resumes: ${String(error)}`);
    must(mayRefuse && seen.length === 0, `a watch was refused after ${seen.length} commits that are kept`);
    return;
  } finally {
    stream.close();
  }
  must(!mustRefuse, `a watch goes on from a commit that is lost, and shows ${seen.join()}`);
  const expected = behind.map(briefCommit).join();
  must(seen.join() === expected, `a watch shows ${seen.join().slice(0, 300)} for ${expected.slice(0, 300)}`);
}

async function next(stream: WatchStream<string>): Promise<CommitEvent<string> | undefined> {
  let turns = 0;
  let waiting = true;
  const silence = (async () => {
    while (waiting && turns++ < TURNS_MAX) await new Promise(setImmediate);
    return undefined;
  })();
  const result = await Promise.race([stream.next(), silence]);
  waiting = false;
  must(result !== undefined, "a watch that resumes shows nothing more");
  return result.done === true ? undefined : result.value;
}

function brief(version: number, changes: readonly (readonly [string, string | undefined])[]): string {
  const last = new Map(changes);
  return JSON.stringify([version, [...last].sort(([a], [b]) => (a < b ? -1 : 1))]);
}

const briefEvent = ({ version, changes, gap }: CommitEvent<string>): string =>
  gap === undefined
    ? brief(
        version,
        changes.map(({ key, value }) => [key as string, value]),
      )
    : `gap behind ${gap.after}`;

const briefCommit = ({ version = 0, changes }: Commit): string =>
  brief(
    version,
    changes.map(({ key, value }) => [key, value]),
  );
