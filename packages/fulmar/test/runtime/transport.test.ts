import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { Connection } from "../../src/base/runtime/interface.js";
import { encodeFrames } from "../../src/base/runtime/node/frames.js";
import {
  FRAMES_IN_TURN_MAX,
  QUEUED_BYTES_MAX,
  TcpConnection,
} from "../../src/base/runtime/node/tcp-connection.js";
import { scarcity } from "../memory/scarce.js";
import { Bench, code, LIMIT, pattern, Recorder } from "./transport-support.js";

const bench = new Bench();
afterEach(() => bench.clear());

interface Pair {
  readonly near: Connection;
  readonly far: Connection;
  readonly nearSees: Recorder;
  readonly farSees: Recorder;
}

/** Two ends, both started. */
async function pair(frameBytesMax?: number): Promise<Pair> {
  const listening = await bench.host(10, frameBytesMax);
  const near = await bench.connect(listening.address);
  const far = await listening.accepted();
  const [nearSees, farSees] = [new Recorder(), new Recorder()];
  near.start(nearSees);
  far.start(farSees);
  return { near, far, nearSees, farSees };
}

/** A bare server that does with its sockets what it is told. */
async function rawServer(serve: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  bench.onClear(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  return `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`;
}

test("frames of all sizes arrive whole and in order, both ways", async () => {
  const { near, far, nearSees, farSees } = await pair();
  const lengths = [1, 2, 3, 4, 5, 100, 8_191, 8_192, 8_193, 65_535, 65_536, 65_537, 1 << 20, LIMIT, 1];
  const frames = lengths.map(pattern);
  for (const frame of frames) near.send(frame);
  for (const frame of frames) far.send(frame);
  await farSees.until(() => farSees.frames.length === frames.length);
  await nearSees.until(() => nearSees.frames.length === frames.length);
  for (const [i, frame] of frames.entries()) {
    expect(Buffer.compare(farSees.frames[i], frame)).toBe(0);
    expect(Buffer.compare(nearSees.frames[i], frame)).toBe(0);
  }
});

test("many small frames arrive in order, sent from synchronous code, continuations and I/O", async () => {
  const { near, far, nearSees, farSees } = await pair();
  farSees.onFrame = (frame) => far.send(frame);
  let sent = 0;
  const send = (): void => near.send(new Uint8Array([sent, sent >>> 8, sent++ >>> 16]));
  for (let i = 0; i < 20_000; i++) send();
  for (let i = 0; i < 2_000; i++) {
    await null;
    send();
  }
  nearSees.onFrame = () => {
    if (sent < 23_000) send();
  };
  await nearSees.until(() => nearSees.frames.length === 23_000);
  expect(nearSees.frames.every(([a, b, c], i) => a + b * 256 + c * 65_536 === i)).toBe(true);
});

test("the frames of one turn go out in one write", async () => {
  const listening = await bench.host();
  const socket = await bench.raw(listening.address);
  const writes = vi.spyOn(socket, "write");
  const near = new TcpConnection(socket, LIMIT);
  const [sees, farSees] = [new Recorder(), new Recorder()];
  near.start(sees);
  for (let i = 0; i < 500; i++) near.send(pattern(16));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  for (let i = 0; i < 500; i++) near.send(pattern(16));
  expect(near.queuedBytes).toBe(20_000);
  await sees.until(() => sees.drains === 1);
  expect(near.queuedBytes).toBe(0);
  expect(writes).toHaveBeenCalledTimes(1);
  (await listening.accepted()).start(farSees);
  await farSees.until(() => farSees.frames.length === 1_000);
  expect(sees.drains).toBe(1);
  near.close();
});

test("close reads on what nobody wants any more, so that the other side's end is seen", async () => {
  const listening = await bench.host();
  // As good as never: only the other side's end may close this one.
  const near = new TcpConnection(await bench.raw(listening.address), LIMIT, 2 ** 31 - 1);
  const far = await listening.accepted();
  const [nearSees, farSees] = [new Recorder(), new Recorder()];
  far.start(farSees);
  near.start(nearSees);
  near.pause();
  far.send(pattern(LIMIT));
  near.send(pattern(10));
  near.close();
  expect(await farSees.ended.promise).toBeUndefined();
  expect(await nearSees.ended.promise).toBeUndefined();
  expect(farSees.frames).toHaveLength(1);
  expect(nearSees.frames).toHaveLength(0);
});

test("a frame beyond the limit closes the connection, and nothing after it is delivered", async () => {
  const { near, far, nearSees, farSees } = await pair(100);
  near.send(pattern(100));
  near.send(pattern(101));
  near.send(pattern(1));
  expect(await farSees.ended.promise).toEqual(code("PROTOCOL_VIOLATION"));
  expect(farSees.frames.map((frame) => frame.length)).toEqual([100]);
  await nearSees.ended.promise;
  far.send(pattern(1));
  expect(far.queuedBytes).toBe(0);
});

test("limitFrames allows more, or less, from the next frame on", async () => {
  const { near, far, farSees } = await pair(10);
  farSees.onFrame = (frame) => far.limitFrames(frame.length === 10 ? 1_000 : 5);
  near.send(pattern(10));
  near.send(pattern(1_000));
  near.send(pattern(6));
  expect(await farSees.ended.promise).toEqual(code("PROTOCOL_VIOLATION"));
  expect(farSees.frames.map((frame) => frame.length)).toEqual([10, 1_000]);
});

test("garbage and empty frames close the connection", async () => {
  const listening = await bench.host();
  for (const garbage of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0"]) {
    const socket = await bench.raw(listening.address);
    const sees = new Recorder();
    (await listening.accepted()).start(sees);
    socket.write(garbage);
    expect(await sees.ended.promise).toEqual(code("PROTOCOL_VIOLATION"));
    expect(sees.frames).toEqual([]);
  }
});

test("close delivers what was sent, and ends both sides without a cause, once", async () => {
  const { near, far, nearSees, farSees } = await pair();
  far.send(pattern(10));
  for (let i = 0; i < 4; i++) near.send(pattern(1 << 20));
  near.send(pattern(3));
  near.close();
  near.close();
  near.send(pattern(1));
  expect(await farSees.ended.promise).toBeUndefined();
  expect(await nearSees.ended.promise).toBeUndefined();
  expect(farSees.frames).toHaveLength(5);
  expect(nearSees.frames).toHaveLength(0);
  far.close();
  expect([nearSees.closes, farSees.closes]).toEqual([1, 1]);
});

test("close from within a frame stops the delivery of those that follow", async () => {
  const { near, far, farSees } = await pair();
  farSees.onFrame = () => far.close();
  for (let i = 0; i < 10; i++) near.send(pattern(10));
  expect(await farSees.ended.promise).toBeUndefined();
  expect(farSees.frames).toHaveLength(1);
});

test("the other side may end its half: what is queued for it still goes out", async () => {
  const received: Buffer[] = [];
  let all: () => void;
  const ended = new Promise<void>((resolve) => {
    all = resolve;
  });
  const address = await rawServer((socket) => {
    socket.end();
    socket.on("data", (data) => received.push(data));
    socket.on("end", () => all());
  });
  const near = await bench.connect(address);
  near.send(pattern(1 << 20));
  const sees = new Recorder();
  near.start(sees);
  expect(await sees.ended.promise).toBeUndefined();
  await ended;
  expect(Buffer.concat(received)).toHaveLength(4 + (1 << 20));
});

test("an end within a frame, and a reset, are lost connections", async () => {
  const listening = await bench.host();
  const early = await bench.raw(listening.address);
  const earlySees = new Recorder();
  (await listening.accepted()).start(earlySees);
  early.end(new Uint8Array([10, 0, 0, 0, 1]));
  expect(await earlySees.ended.promise).toEqual(code("CONNECTION_LOST"));

  const resetting = await bench.raw(listening.address);
  const resetSees = new Recorder();
  (await listening.accepted()).start(resetSees);
  resetting.resetAndDestroy();
  const cause = await resetSees.ended.promise;
  expect(cause).toMatchObject({ code: "CONNECTION_LOST", details: { system: "ECONNRESET" } });
});

test("nothing is delivered or lost before the start, even if the other side has ended by then", async () => {
  const listening = await bench.host();
  const socket = await bench.raw(listening.address);
  const far = await listening.accepted();
  const frames = Array.from({ length: 10 }, (_, i) => pattern(1_000, i));
  // Calls back when the system has taken it all, the end included.
  await new Promise<void>((resolve) => socket.end(Buffer.concat(encodeFrames(frames)), resolve));
  const sees = new Recorder();
  far.start(sees);
  expect(await sees.ended.promise).toBeUndefined();
  expect(sees.frames).toEqual(frames);
});

test("a connection closed before its start tells so at the start", async () => {
  const listening = await bench.host();
  const near = await bench.connect(listening.address);
  const far = await listening.accepted();
  far.close();
  near.close();
  const sees = new Recorder();
  near.start(sees);
  expect(await sees.ended.promise).toBeUndefined();
  const farSees = new Recorder();
  far.start(farSees);
  expect(await farSees.ended.promise).toBeUndefined();
  expect([sees.closes, farSees.closes]).toEqual([1, 1]);
});

test("pause makes the sender wait, resume lets it go on and drain", async () => {
  const { near, far, nearSees, farSees } = await pair();
  farSees.onFrame = () => far.pause();
  const frames = 64;
  for (let i = 0; i < frames; i++) near.send(pattern(1 << 20, i));
  await farSees.until(() => farSees.frames.length === 1);
  // The buffers of the system fill up, and that is all that goes.
  let before = -1;
  while (before !== near.queuedBytes) {
    before = near.queuedBytes;
    for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(farSees.frames).toHaveLength(1);
  expect(near.queuedBytes).toBeGreaterThan(16 << 20);
  expect(nearSees.drains).toBe(0);
  farSees.onFrame = () => {};
  far.resume();
  await farSees.until(() => farSees.frames.length === frames);
  await nearSees.until(() => nearSees.drains === 1);
  expect(near.queuedBytes).toBe(0);
});

test("pause holds back frames that arrived in one piece, and resume never delivers within its caller", async () => {
  const { near, far, farSees } = await pair();
  farSees.onFrame = () => far.pause();
  for (let i = 0; i < 5; i++) near.send(pattern(3, i));
  for (let n = 1; n <= 5; n++) {
    await farSees.until(() => farSees.frames.length === n);
    await new Promise((resolve) => setImmediate(resolve));
    expect(farSees.frames).toHaveLength(n);
    far.resume();
    far.pause();
    far.resume();
    expect(farSees.frames).toHaveLength(n);
  }
  near.send(pattern(3, 5));
  await farSees.until(() => farSees.frames.length === 6);
  expect(farSees.frames).toEqual([0, 1, 2, 3, 4, 5].map((salt) => pattern(3, salt)));
});

test("SEC: many small frames: a flood of them leaves turns to everything else, and arrives whole", async () => {
  const { near, far, farSees } = await pair();
  let turns = 0;
  const turnsAt: number[] = [];
  const turn = (): void => {
    turns++;
    if (farSees.frames.length < 20_000) setImmediate(turn);
  };
  turn();
  farSees.onFrame = () => turnsAt.push(turns);
  for (let i = 0; i < 20_000; i++) near.send(Uint8Array.of(i & 255));
  await farSees.until(() => farSees.frames.length === 20_000);
  let longest = 0;
  for (let i = 0, from = 0; i < turnsAt.length; i++) {
    if (turnsAt[i] !== turnsAt[from]) from = i;
    longest = Math.max(longest, i - from + 1);
  }
  expect(longest).toBeLessThanOrEqual(2 * FRAMES_IN_TURN_MAX);
  expect(farSees.frames.every((frame, i) => frame[0] === (i & 255))).toBe(true);
  // Paused in the midst of one, it stays so.
  farSees.onFrame = () => {
    if (farSees.frames.length === 21_000) far.pause();
  };
  for (let i = 0; i < 2000; i++) near.send(Uint8Array.of(1));
  await farSees.until(() => farSees.frames.length === 21_000);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(farSees.frames).toHaveLength(21_000);
  far.resume();
  await farSees.until(() => farSees.frames.length === 22_000);
});

test("close is bounded in time when the other side neither reads nor ends", async () => {
  const address = await rawServer((socket) => socket.pause());
  const socket = await bench.raw(address);
  const near = new TcpConnection(socket, LIMIT, 50);
  const sees = new Recorder();
  near.start(sees);
  for (let i = 0; i < 32; i++) near.send(pattern(1 << 20));
  near.close();
  expect(await sees.ended.promise).toBeUndefined();
});

test("SEC: resource pinning: a peer that takes nothing is cut off before the queue grows without bound", async () => {
  const address = await rawServer((socket) => socket.pause());
  const near = await bench.connect(address);
  const sees = new Recorder();
  near.start(sees);
  const frame = pattern(1 << 20);
  for (let queued = 0; queued <= QUEUED_BYTES_MAX + (64 << 20); queued += frame.length) near.send(frame);
  expect(await sees.ended.promise).toEqual(code("CONNECTION_LOST"));
  expect(near.queuedBytes).toBe(0);
});

test("a frame for which there is no memory, here or there, ends the connection and not the process", async () => {
  const noMemory = { code: "CONNECTION_LOST", cause: expect.any(RangeError) };
  for (const [length, isSent] of [
    [100_000, true],
    [1000, false],
  ] as const) {
    const { near, far, nearSees, farSees } = await pair();
    const frame = pattern(length);
    const scarce = scarcity(0);
    near.send(frame);
    const cause = await (isSent ? farSees : nearSees).ended.promise;
    scarce.end();
    expect(cause).toMatchObject(noMemory);
    await (isSent ? nearSees : farSees).ended.promise;
    expect([nearSees.closes, farSees.closes, farSees.frames.length]).toEqual([1, 1, 0]);
    for (const end of [near, far]) end.close();
  }
});

test("a connection that is closed without memory for its last frames has ended all the same", async () => {
  const { near, nearSees, farSees } = await pair();
  near.send(pattern(1000));
  const scarce = scarcity(0);
  near.close();
  scarce.end();
  expect(await nearSees.ended.promise).toMatchObject({ code: "CONNECTION_LOST" });
  await farSees.ended.promise;
});
