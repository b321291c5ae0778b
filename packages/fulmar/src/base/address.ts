import { FulmarError } from "./errors.js";

/** Where something listens, taken apart. An IPv6 `host` stands without its brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Longest address text, in characters: a DNS name has at most 253. */
const ADDRESS_LENGTH_MAX = 300;
const BRACKETED = /^\[([0-9a-fA-F:.]+(?:%[0-9a-zA-Z._-]+)?)\]:(\d{1,5})$/;
const NAMED = /^([0-9a-zA-Z_](?:[0-9a-zA-Z._-]*[0-9a-zA-Z._])?):(\d{1,5})$/;
const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const MAPPED_IPV4 = /^::ffff:(?=\d+\.)/i;

/** Parses "host:port", "127.0.0.1:4100" or "[::1]:4100"; throws ADDRESS_INVALID for anything else. */
export function parseAddress(text: string): Address {
  const parsed = tryParseAddress(text);
  if (parsed !== undefined) return parsed;
  throw new FulmarError(
    "ADDRESS_INVALID",
    `not an address: ${JSON.stringify(String(text).slice(0, ADDRESS_LENGTH_MAX))}; write "host:port" or "[::1]:port"`,
    { address: text },
  );
}

function tryParseAddress(text: string): Address | undefined {
  if (typeof text !== "string" || text.length > ADDRESS_LENGTH_MAX) return undefined;
  const match = BRACKETED.exec(text) ?? NAMED.exec(text);
  if (match === null) return undefined;
  const port = Number(match[2]);
  return port <= 65_535 ? { host: match[1], port } : undefined;
}

/** The text that {@link parseAddress} reads back. An IPv4 address that the system wrote as IPv6 becomes plain. */
export function formatAddress(host: string, port: number): string {
  const plain = host.replace(MAPPED_IPV4, "");
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}

/** Whether a host can only be reached from this machine. In doubt it cannot be told, and the answer is no. */
export function isLoopbackHost(host: string): boolean {
  if (host === "::1" || host.toLowerCase() === "localhost") return true;
  const octets = IPV4.exec(host.replace(MAPPED_IPV4, ""));
  return octets !== null && octets[1] === "127" && octets.slice(2).every((octet) => Number(octet) <= 255);
}

/** Whether an address ("host:port") can only be reached from this machine; false for what is no address. */
export function isLoopbackAddress(text: string): boolean {
  const address = tryParseAddress(text);
  return address !== undefined && isLoopbackHost(address.host);
}
