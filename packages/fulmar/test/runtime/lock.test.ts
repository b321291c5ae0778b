import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import type { DirectoryLock } from "../../src/base/runtime/interface.js";
import { askForHolder, lockDirectory } from "../../src/base/runtime/node/directory-lock.js";
import { Contender, compileContender } from "./lock-support.js";

/** For who never answers: short enough to not make the suite slow. */
const IMPATIENT = { answerMs: 300, settleMs: 300 };
/** For who answers, however long a busy machine takes for it. */
const PATIENT = { answerMs: 100_000, settleMs: 100_000 };
/** The user who has no rights. */
const NOBODY = 65_534;
const LOW = `LOCK-${"0".repeat(32)}`;
const HIGH = `LOCK-${"f".repeat(32)}`;

let compiled: string;
let script: string;
let root: string;
let directory: string;
const children: Contender[] = [];
const servers: Server[] = [];
const sockets: Socket[] = [];

beforeAll(() => {
  compiled = mkdtempSync(join(tmpdir(), "fulmar-lock-js-"));
  script = compileContender(compiled);
});
afterAll(() => rmSync(compiled, { recursive: true, force: true }));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fulmar-lock-"));
  directory = join(root, "data");
  mkdirSync(directory);
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  rmSync(root, { recursive: true, force: true });
});

const lockPatiently = (path: string): Promise<DirectoryLock> => lockDirectory(path, PATIENT);

function child(user?: number): Contender {
  const contender = new Contender(script, { user });
  children.push(contender);
  return contender;
}

/** A process that is announced under `name` and says `lines`; what it does then is up to the test. */
async function announced(
  name: string,
  ...lines: object[]
): Promise<{ withdraw(): void; asked: Promise<Socket> }> {
  let seen: (socket: Socket) => void;
  const asked = new Promise<Socket>((resolve) => {
    seen = resolve;
  });
  const own: Socket[] = [];
  const server = createServer((socket) => {
    own.push(socket);
    sockets.push(socket);
    socket.on("error", () => {});
    for (const line of lines) socket.write(`${JSON.stringify(line)}\n`);
    seen(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(join(directory, name), resolve));
  const withdraw = (): void => {
    server.close();
    for (const socket of own) socket.end();
  };
  return { withdraw, asked };
}

async function refusal(attempt: Promise<unknown>): Promise<FulmarError> {
  const error = await attempt.then(
    () => new Error("the lock was granted"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FulmarError);
  return error as FulmarError;
}

test("a second opener in the same process is refused with its own pid, and let in after the release", async () => {
  const lock = await lockPatiently(directory);
  const error = await refusal(lockPatiently(directory));
  expect(error.code).toBe("LOCKED");
  expect(error.details).toMatchObject({ pid: process.pid, directory });
  await lock.release();
  await lock.release();
  expect(readdirSync(directory)).toEqual([]);
  await (await lockPatiently(directory)).release();
});

test("of two openers at once in one process exactly one gets the lock", async () => {
  const results = await Promise.allSettled([lockPatiently(directory), lockPatiently(directory)]);
  expect(results.map((result) => result.status).sort()).toEqual(["fulfilled", "rejected"]);
  for (const result of results) if (result.status === "fulfilled") await result.value.release();
});

test("another process is refused with the holder's pid, and let in after the release", async () => {
  const [first, second] = [child(), child()];
  expect(await first.order(`take ${directory}`)).toBe("held");
  expect(await second.order(`take ${directory}`)).toBe(`refused LOCKED ${first.pid}`);
  const error = await refusal(lockPatiently(directory));
  expect(error.message).toContain(`process ${first.pid}`);
  expect(await first.order("release")).toBe("released");
  expect(await second.order(`take ${directory}`)).toBe("held");
});

test("a holder killed with SIGKILL leaves no obstacle and, after the next release, no file", async () => {
  for (let round = 0; round < 3; round++) {
    const holder = child();
    expect(await holder.order(`take ${directory}`)).toBe("held");
    await holder.kill();
    expect(readdirSync(directory)).toHaveLength(1);
  }
  const lock = await lockPatiently(directory);
  expect(readdirSync(directory)).toHaveLength(1);
  await lock.release();
  expect(readdirSync(directory)).toEqual([]);
});

test("who only looks sees a holder that lives, and neither takes nor leaves anything", async () => {
  expect(await askForHolder(directory, PATIENT)).toBe(true);
  const holder = child();
  expect(await holder.order(`take ${directory}`)).toBe("held");
  const names = readdirSync(directory);
  const error = await refusal(askForHolder(directory, PATIENT));
  expect([error.code, error.details.pid]).toEqual(["LOCKED", holder.pid]);
  await holder.kill();
  expect(await askForHolder(directory, PATIENT)).toBe(true);
  expect(readdirSync(directory)).toEqual(names);
  const lock = await lockPatiently(directory);
  expect((await refusal(askForHolder(directory, PATIENT))).details.pid).toBe(process.pid);
  await lock.release();
  const candidate = await announced(LOW, { pid: 1, state: "candidate" }, { pid: 1, state: "holder" });
  expect((await refusal(askForHolder(directory, PATIENT))).details.pid).toBe(1);
  candidate.withdraw();
  expect((await refusal(askForHolder(join(directory, "none"), PATIENT))).code).toBe("PATH_UNUSABLE");
});

test("who may not write there can look, and is told if somebody is there who may not be asked", async (context) => {
  if (process.getuid?.() !== 0) context.skip("only root can be another user");
  for (const path of [compiled, root, directory]) chmodSync(path, 0o755);
  const stranger = child(NOBODY);
  expect(await stranger.order(`take ${directory}`)).toBe("refused ACCESS_DENIED undefined");
  expect(await stranger.order(`look ${directory}`)).toBe("certain true");
  const lock = await lockPatiently(directory);
  expect(await stranger.order(`look ${directory}`)).toBe("certain false");
  const [name] = readdirSync(directory);
  chmodSync(join(directory, name), 0o666);
  expect(await stranger.order(`look ${directory}`)).toBe(`refused LOCKED ${process.pid}`);
  await lock.release();
  expect(await stranger.order(`look ${directory}`)).toBe("certain true");
});

test("a held lock does not keep its process alive", async () => {
  const holder = child();
  expect(await holder.order(`take ${directory}`)).toBe("held");
  holder.dismiss();
  await holder.exited;
  await (await lockPatiently(directory)).release();
});

test("a temporary socket left by a dead process is removed, other files are not", async () => {
  const temporary = `LOCKING-${"a".repeat(32)}`;
  const dying = createServer();
  await new Promise<void>((resolve) => dying.listen(join(directory, "bound"), resolve));
  // Closing removes the name that the socket was bound at, not the one that it has then.
  renameSync(join(directory, "bound"), join(directory, temporary));
  await new Promise((resolve) => dying.close(resolve));
  expect(readdirSync(directory)).toEqual([temporary]);
  writeFileSync(join(directory, "LOCK-notes"), "");
  const lock = await lockPatiently(directory);
  expect(readdirSync(directory).filter((name) => name.startsWith("LOCKING"))).toEqual([]);
  await lock.release();
  expect(readdirSync(directory)).toEqual(["LOCK-notes"]);
});

test("a path far longer than a socket's works, and is the same lock", async () => {
  const long = join(root, "x".repeat(120), "y".repeat(60));
  mkdirSync(long, { recursive: true });
  const holder = child();
  expect(await holder.order(`take ${long}`)).toBe("held");
  expect(readdirSync(long)).toHaveLength(1);
  expect((await refusal(lockPatiently(long))).details.pid).toBe(holder.pid);
  await holder.kill();
  const lock = await lockPatiently(long);
  await lock.release();
  expect(readdirSync(long)).toEqual([]);
});

test("a symbolic link to the directory is the same lock", async () => {
  const link = join(root, "link");
  symlinkSync(directory, link, "dir");
  const lock = await lockPatiently(link);
  expect((await refusal(lockPatiently(directory))).code).toBe("LOCKED");
  expect((await refusal(lockPatiently(link))).details).toEqual({ pid: process.pid, directory });
  expect(await child().order(`take ${directory}`)).toBe(`refused LOCKED ${process.pid}`);
  await lock.release();
  expect(await child().order(`take ${link}`)).toBe("held");
});

test("a holder stopped with SIGSTOP still holds, and still does when it goes on", async () => {
  const [holder, other] = [child(), child()];
  expect(await holder.order(`take ${directory}`)).toBe("held");
  holder.signal("SIGSTOP");
  const error = await refusal(lockDirectory(directory, IMPATIENT));
  expect([error.code, error.details.pid]).toEqual(["LOCKED", undefined]);
  holder.signal("SIGCONT");
  expect(await other.order(`take ${directory}`)).toBe(`refused LOCKED ${holder.pid}`);
});

test("a holder whose event loop is blocked still holds", async () => {
  const holder = child();
  expect(await holder.order(`take ${directory}`)).toBe("held");
  expect(await holder.order("block 60000")).toBe("blocking");
  expect((await refusal(lockDirectory(directory, IMPATIENT))).code).toBe("LOCKED");
});

test("a smaller candidate makes us withdraw at once", async () => {
  await announced(LOW, { pid: 7, state: "candidate" });
  const error = await refusal(lockPatiently(directory));
  expect([error.code, error.details.pid]).toEqual(["LOCKED", 7]);
  expect(readdirSync(directory)).toEqual([LOW]);
});

test("we wait for a greater candidate to withdraw", async () => {
  const other = await announced(HIGH, { pid: 7, state: "candidate" });
  let decided = false;
  const attempt = lockPatiently(directory).finally(() => {
    decided = true;
  });
  await other.asked;
  expect(decided).toBe(false);
  other.withdraw();
  await (await attempt).release();
});

test("who asks while we are a candidate is told when we become holder", async () => {
  const other = await announced(HIGH, { pid: 7, state: "candidate" });
  const attempt = lockPatiently(directory);
  await other.asked;
  const ours = readdirSync(directory).find((name) => name !== HIGH)!;
  const asker = connect(join(directory, ours)).setEncoding("utf8");
  sockets.push(asker);
  const heard: string[] = [];
  const next = (): Promise<void> =>
    new Promise((resolve) => asker.once("data", (text) => resolve(void heard.push(String(text)))));
  await next();
  other.withdraw();
  await next();
  const answer = (state: string): string => `${JSON.stringify({ pid: process.pid, state })}\n`;
  expect(heard).toEqual([answer("candidate"), answer("holder")]);
  await (await attempt).release();
});

test("a greater candidate that becomes holder makes us withdraw", async () => {
  const other = await announced(HIGH, { pid: 7, state: "candidate" });
  const attempt = refusal(lockPatiently(directory));
  (await other.asked).write(`${JSON.stringify({ pid: 7, state: "holder" })}\n`);
  expect((await attempt).details.pid).toBe(7);
});

test("a holder in another container is no other for having our process number", async () => {
  await announced(HIGH, { pid: process.pid, state: "holder" });
  const error = await refusal(lockPatiently(directory));
  expect(error.details.pid).toBe(process.pid);
  expect(error.message).toContain(`process ${process.pid}`);
});

test("a candidate that never decides, is silent or talks nonsense counts as holding", async () => {
  const undecided = await announced(HIGH, { pid: 7, state: "candidate" });
  expect((await refusal(lockDirectory(directory, { ...PATIENT, settleMs: 300 }))).details.pid).toBe(7);
  undecided.withdraw();
  await announced(HIGH, { hello: 1 });
  expect((await refusal(lockPatiently(directory))).code).toBe("LOCKED");
  expect(readdirSync(directory)).toEqual([HIGH]);
});

test("many processes race for one lock: never two holders, and nothing is left", async () => {
  const marker = join(root, "marker");
  const racers = Array.from({ length: 8 }, () => child());
  const reports = await Promise.all(racers.map((racer) => racer.order(`race ${directory} ${marker} 60`)));
  expect(reports.filter((report) => !report.startsWith("won "))).toEqual([]);
  const won = reports.map((report) => Number(report.slice(4)));
  expect(won.reduce((sum, n) => sum + n)).toBeGreaterThan(0);
  expect(readdirSync(directory)).toEqual([]);
});

test("racers killed in the midst of it leave a lock that can be taken", async () => {
  const marker = join(root, "marker");
  for (let round = 0; round < 3; round++) {
    const racers = Array.from({ length: 4 }, () => child());
    for (const racer of racers) void racer.order(`race ${directory} ${marker} 1000000`);
    // All of them are up and at it when the marker has come and gone for a while.
    while (!readdirSync(directory).some((name) => name.startsWith("LOCK-"))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(racers.map((racer) => racer.kill()));
    rmSync(marker, { force: true });
    await (await lockPatiently(directory)).release();
    expect(readdirSync(directory)).toEqual([]);
  }
});

test("a directory that is missing, or is a file, is refused as unusable", async () => {
  expect((await refusal(lockDirectory(join(root, "missing")))).code).toBe("PATH_UNUSABLE");
  const file = join(root, "file");
  writeFileSync(file, "");
  expect((await refusal(lockDirectory(file))).code).toBe("PATH_UNUSABLE");
});
