import { afterEach, describe, expect, it } from "vitest";
import { equalBytes } from "../../src/base/bytes.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { Handshake, type HandshakeOptions } from "../../src/sync/handshake.js";
import { encodeMessage } from "../../src/sync/protocol/encode.js";
import { PlainChannel, SealedChannel } from "../../src/sync/secure-channel.js";
import { Cluster } from "./support/cluster.js";
import { originId } from "./support/raw-peer.js";
import { sampleMessages } from "./support/samples.js";
import type { FakeConnection } from "./support/world.js";

const { cryptography, checksum, random } = nodeRuntime();

function side(letter: string, initiator: boolean, options: Partial<HandshakeOptions> = {}): Handshake {
  const nonce = new Uint8Array(32);
  random.fill(nonce);
  return new Handshake({
    initiator,
    incarnation: originId(letter),
    name: letter,
    cluster: "",
    nonce,
    secret: new TextEncoder().encode("a secret of chance"),
    cryptography,
    checksum,
    ...options,
  });
}

/** Carries frames to and fro until both are done or one fails. */
function meet(one: Handshake, two: Handshake): { codes: (string | undefined)[]; done: boolean[] } {
  const codes: (string | undefined)[] = [undefined, undefined];
  const done = [false, false];
  const sides = [one, two];
  const queue = one.start().map((frame) => ({ to: 1, frame }));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { to, frame } = next;
    if (codes[to] !== undefined) continue;
    const step = sides[to].receive(frame);
    codes[to] = step.failure?.code;
    done[to] ||= step.done !== undefined;
    for (const answer of step.send) queue.push({ to: 1 - to, frame: answer });
  }
  return { codes, done };
}

describe("the handshake", () => {
  it("lets in who knows the secret, or when nobody has one", () => {
    expect(meet(side("a", true), side("b", false)).done).toEqual([true, true]);
    const none = { secret: undefined };
    expect(meet(side("a", true, none), side("b", false, none)).done).toEqual([true, true]);
  });

  it("SEC: identity: tells nobody with a wrong secret, or none, anything that depends on the secret", () => {
    for (const secret of [new TextEncoder().encode("a secret of chancE"), undefined]) {
      const { codes, done } = meet(side("a", true, { secret }), side("b", false));
      expect(codes).toContain("AUTHENTICATION_FAILED");
      expect(done).toEqual([false, false]);
    }
    const responder = side("b", false);
    const stranger = side("a", true, { secret: new TextEncoder().encode("something else") });
    const [hello] = stranger.start();
    const answer = responder.receive(hello);
    const [auth] = stranger.receive(answer.send[0]).send;
    expect(responder.receive(auth)).toMatchObject({ send: [], failure: { code: "AUTHENTICATION_FAILED" } });
  });

  it("refuses another cluster, another version, itself and a mirror", () => {
    expect(meet(side("a", true, { cluster: "x" }), side("b", false)).codes).toContain(
      "AUTHENTICATION_FAILED",
    );
    expect(meet(side("a", true), side("a", false)).codes).toContain("DUPLICATE_PEER");
    const hello = { ...sampleMessages().hello, versionOldest: 2, versionNewest: 3 };
    expect(side("b", false).receive(encodeMessage(hello as never)).failure?.code).toBe("PROTOCOL_VERSION");
    const mirrored = side("a", true);
    expect(mirrored.receive(mirrored.start()[0]).failure?.code).toBe("PROTOCOL_VIOLATION");
  });

  it("SEC: replay/MITM: a recorded proof does not fit another handshake, and a changed HELLO spoils it", () => {
    const recorded = side("a", true);
    const first = side("b", false);
    const [hello] = recorded.start();
    const [auth] = recorded.receive(first.receive(hello).send[0]).send;
    const second = side("b", false);
    second.receive(hello);
    expect(second.receive(auth).failure?.code).toBe("AUTHENTICATION_FAILED");
    const one = side("a", true);
    const two = side("b", false);
    const changed = one.start()[0].slice();
    changed[changed.length - 1] ^= 1;
    const proof = one.receive(two.receive(changed).send[0]).send[0];
    expect(two.receive(proof).failure?.code).toBe("AUTHENTICATION_FAILED");
  });

  it("gives each repetition the same answer", () => {
    const one = side("a", true);
    const two = side("b", false);
    const [hello] = one.start();
    const answer = two.receive(hello);
    expect(two.receive(hello).send).toEqual(answer.send);
    const [auth] = one.receive(answer.send[0]).send;
    expect(equalBytes(one.repeat()[0], auth)).toBe(true);
    const proof = two.receive(auth);
    expect(two.receive(auth).send).toEqual(proof.send);
    expect(one.receive(proof.send[0]).done).toBeDefined();
  });

  it("hears why the responder ends, where the responder's proof was lost", () => {
    const secrets = [undefined, new TextEncoder().encode("a secret of chance")];
    for (const secret of secrets) {
      const one = side("a", true, { secret });
      const two = side("b", false, { secret });
      const [auth] = one.receive(two.receive(one.start()[0]).send[0]).send;
      const { channel } = two.receive(auth).done ?? expect.fail("not through");
      const sealed = channel.wrap(encodeMessage({ type: "reject", code: "CLOSED", text: "bye" }));
      expect(one.receive(sealed).failure).toEqual({ code: "CLOSED", text: "bye", remote: true });
    }
  });

  it("takes nothing but a REJECT before the responder's proof, and nothing sealed with another secret", () => {
    const one = side("a", true);
    const two = side("b", false);
    const [auth] = one.receive(two.receive(one.start()[0]).send[0]).send;
    const { done, send } = two.receive(auth);
    const { channel } = done ?? expect.fail("not through");
    const early = one.receive(channel.wrap(send[0]));
    expect(early).toMatchObject({ failure: { code: "PROTOCOL_VIOLATION", remote: false } });
    const key = new Uint8Array(32);
    const forged = new SealedChannel(cryptography, key, key);
    const reject = encodeMessage({ type: "reject", code: "CLOSED", text: "bye" });
    expect(one.receive(forged.wrap(reject))).toMatchObject({ failure: { remote: false } });
  });

  it("ends after 8 KiB", () => {
    const two = side("b", false);
    const [hello] = side("a", true).start();
    let failure: string | undefined;
    for (let i = 0; i < 200 && failure === undefined; i++) failure = two.receive(hello).failure?.code;
    expect(failure).toBe("PROTOCOL_VIOLATION");
  });
});

describe("channels", () => {
  const key = new Uint8Array(32).fill(1);
  const other = new Uint8Array(32).fill(2);
  const message = new Uint8Array([1, 2, 3]);

  it("SEC: replay/MITM: a sealed frame counts once, in order, and only unchanged", () => {
    const sender = new SealedChannel(cryptography, key, other);
    const receiver = new SealedChannel(cryptography, other, key);
    const frames = [sender.wrap(message), sender.wrap(message), sender.wrap(message)];
    expect(receiver.unwrap(frames[0])).toEqual(message);
    expect(receiver.unwrap(frames[0])).toBe("stale");
    expect(receiver.unwrap(frames[2])).toEqual(message);
    expect(receiver.unwrap(frames[1])).toBe("stale");
    for (let i = 0; i < frames[0].length; i++) {
      const fresh = new SealedChannel(cryptography, other, key);
      const changed = frames[0].slice();
      changed[i] ^= 0x10;
      expect(typeof fresh.unwrap(changed)).toBe("string");
    }
    expect(new SealedChannel(cryptography, key, other).unwrap(frames[0])).toBe("bad");
  });

  it("a plain frame is checked against accidents", () => {
    const channel = new PlainChannel(checksum);
    const frame = channel.wrap(message);
    expect(channel.unwrap(frame)).toEqual(message);
    frame[1] ^= 4;
    expect(channel.unwrap(frame)).toBe("bad");
    expect(channel.unwrap(new Uint8Array(4))).toBe("bad");
  });
});

describe("SEC: unauthenticated peer/client, slowloris: strangers at the door", () => {
  let cluster: Cluster;
  afterEach(() => cluster.close());

  async function knock(): Promise<{ connection: FakeConnection; got: Uint8Array[] }> {
    cluster = new Cluster(1);
    await cluster.add("a");
    const { transport } = cluster.world.runtime("stranger");
    const connecting = transport.connect("a:1", { timeoutMs: 1000, frameBytesMax: 2 ** 20 });
    const connection = (await cluster.during(connecting)) as FakeConnection;
    const got: Uint8Array[] = [];
    connection.limitFrames(2 ** 20);
    connection.start({ frame: (bytes) => void got.push(bytes), drained: () => {}, closed: () => {} });
    return { connection, got };
  }

  it("hears nothing, and is cut off after 5 s without a word", async () => {
    const { connection, got } = await knock();
    await cluster.world.run(4900);
    expect(connection.isClosed).toBe(false);
    expect(got).toEqual([]);
    await cluster.world.run(200);
    expect(connection.isClosed).toBe(true);
  });

  it("is cut off after a word that is none, a frame over 4 KiB, or a proper message too early", async () => {
    for (const bytes of [
      new TextEncoder().encode("GET / HTTP/1.1"),
      new Uint8Array(5000),
      encodeMessage({ type: "ask", number: 1 }),
    ]) {
      const { connection } = await knock();
      connection.send(bytes);
      await cluster.world.run(100);
      expect(connection.isClosed).toBe(true);
      await cluster.close();
      cluster.nodes.length = 0;
    }
  });

  it("cannot keep a half-done handshake open", async () => {
    const { connection } = await knock();
    const stranger = side("c", true, { secret: new TextEncoder().encode("guessed wrongly") });
    connection.send(stranger.start()[0]);
    await cluster.world.run(4000);
    connection.send(stranger.start()[0]);
    await cluster.world.run(1100);
    expect(connection.isClosed).toBe(true);
  });
});

it("SEC: unauthenticated peer/client: a node that listens or dials beyond loopback needs a secret", async () => {
  const cluster = new Cluster(1);
  await expect(cluster.add("far", { secret: undefined })).rejects.toMatchObject({ code: "INSECURE_LISTEN" });
  await expect(cluster.add("a", { secret: undefined, peers: ["far:1"] })).rejects.toMatchObject({
    code: "INSECURE_LISTEN",
  });
  await expect(cluster.add("a", { secret: "short" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(cluster.add("a", { sceret: "x" } as never)).rejects.toMatchObject({ code: "UNKNOWN_OPTION" });
  await cluster.close();
});
