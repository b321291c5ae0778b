import { afterEach, expect, test } from "vitest";
import { nodeTransport } from "../../src/base/runtime/node/tcp-transport.js";
import { Bench, code, pattern, Recorder } from "./transport-support.js";

const bench = new Bench();
afterEach(() => bench.clear());

test("more connections than allowed are refused, and one that ends makes room", async () => {
  const listening = await bench.host(2);
  const started = [];
  for (let i = 0; i < 2; i++) {
    const near = await bench.connect(listening.address);
    (await listening.accepted()).start(new Recorder());
    started.push(near);
  }
  const excess = await bench.connect(listening.address);
  const excessSees = new Recorder();
  excess.start(excessSees);
  await excessSees.ended.promise;
  expect(listening.connections).toHaveLength(2);
  const firstSees = new Recorder();
  started[0].start(firstSees);
  started[0].close();
  await firstSees.ended.promise;
  const next = await bench.connect(listening.address);
  const far = await listening.accepted();
  const farSees = new Recorder();
  far.start(farSees);
  next.send(pattern(5));
  await farSees.until(() => farSees.frames.length === 1);
});

test("listen: a port in use, a foreign address, an unknown one", async () => {
  const listening = await bench.host();
  expect(listening.address).toMatch(/^127\.0\.0\.1:\d+$/);
  const options = { connectionsMax: 1, frameBytesMax: 1 };
  const attempt = (address: string): Promise<unknown> => nodeTransport.listen(address, options, () => {});
  await expect(attempt(listening.address)).rejects.toEqual(code("ADDRESS_IN_USE"));
  await expect(attempt("192.0.2.1:0")).rejects.toEqual(code("ADDRESS_INVALID"));
  await expect(attempt("nonsense")).rejects.toEqual(code("ADDRESS_INVALID"));
  await expect(attempt("127.0.0.1:70000")).rejects.toEqual(code("ADDRESS_INVALID"));
});

test("a closed listener frees its port at once, and leaves its connections alone", async () => {
  const listening = await bench.host();
  const near = await bench.connect(listening.address);
  const far = await listening.accepted();
  const farSees = new Recorder();
  far.start(farSees);
  await listening.listener.close();
  await expect(bench.connect(listening.address)).rejects.toEqual(code("CONNECTION_LOST"));
  near.send(pattern(5));
  await farSees.until(() => farSees.frames.length === 1);
  const again = await nodeTransport.listen(
    listening.address,
    { connectionsMax: 1, frameBytesMax: 1 },
    () => {},
  );
  await again.close();
});

test("connect: refused, to no port, to no address", async () => {
  const listening = await bench.host();
  const { address } = listening;
  await listening.close();
  await expect(bench.connect(address)).rejects.toMatchObject({
    code: "CONNECTION_LOST",
    details: { system: "ECONNREFUSED" },
  });
  await expect(bench.connect("127.0.0.1:0")).rejects.toEqual(code("ADDRESS_INVALID"));
  await expect(bench.connect("[::1]")).rejects.toEqual(code("ADDRESS_INVALID"));
});

test("remote names the other end", async () => {
  const listening = await bench.host();
  const near = await bench.connect(listening.address);
  const far = await listening.accepted();
  expect(near.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(far.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(far.remote).not.toBe(near.remote);
  expect(nodeTransport.isLoopback(near.remote)).toBe(true);
});
