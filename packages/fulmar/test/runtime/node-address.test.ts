import { expect, test } from "vitest";
import { formatAddress, isLoopbackAddress, parseAddress } from "../../src/base/address.js";

test("parses and formats names, IPv4 and IPv6", () => {
  const good: [string, string, number][] = [
    ["127.0.0.1:4100", "127.0.0.1", 4100],
    ["localhost:0", "localhost", 0],
    ["db-1.example.org:65535", "db-1.example.org", 65_535],
    ["a_b:1", "a_b", 1],
    ["[::1]:80", "::1", 80],
    ["[fe80::1%eth0]:80", "fe80::1%eth0", 80],
  ];
  for (const [text, host, port] of good) {
    expect(parseAddress(text)).toEqual({ host, port });
    expect(formatAddress(host, port)).toBe(text);
  }
  expect(formatAddress("::ffff:10.0.0.1", 5)).toBe("10.0.0.1:5");
});

test("refuses what is no address", () => {
  const bad = [
    "",
    ":",
    "host",
    ":80",
    "host:",
    "host:x",
    "host:65536",
    "host:-1",
    "host:1.5",
    "::1:80",
    "[::1]",
  ];
  bad.push(
    "[host]:80",
    "a b:80",
    "host:80 ",
    "http://host:80",
    "-a:1",
    "host:123456",
    `${"a".repeat(300)}:1`,
  );
  for (const text of bad) {
    expect(() => parseAddress(text), text).toThrow(expect.objectContaining({ code: "ADDRESS_INVALID" }));
    expect(isLoopbackAddress(text)).toBe(false);
  }
  expect(() => parseAddress(undefined as unknown as string)).toThrow(/not an address/);
});

test("knows what can only be reached from this machine", () => {
  for (const text of [
    "127.0.0.1:1",
    "127.255.255.254:1",
    "[::1]:1",
    "localhost:1",
    "LOCALHOST:1",
    "[::ffff:127.0.0.1]:1",
  ]) {
    expect(isLoopbackAddress(text), text).toBe(true);
  }
  for (const text of [
    "0.0.0.0:1",
    "[::]:1",
    "10.0.0.1:1",
    "127.evil.org:1",
    "127.0.0.1.evil.org:1",
    "128.0.0.1:1",
  ]) {
    expect(isLoopbackAddress(text), text).toBe(false);
  }
  for (const text of ["127.0.0.256:1", "localhost.evil.org:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"]) {
    expect(isLoopbackAddress(text), text).toBe(false);
  }
});
