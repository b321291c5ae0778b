import { parseAddress } from "../base/address.js";
import { isReadable } from "../base/bytes.js";
import { FulmarError, FulmarRangeError, FulmarTypeError } from "../base/errors.js";
import { COMMIT_BYTES_MAX, NAME_BYTES_MAX, RECORD_BYTES_MAX } from "../base/limits.js";
import { booleanOption, checkOptions, integerOption, isBytes, isList, textOf } from "../base/options.js";
import type { StorePort } from "../store/port.js";
import {
  ADDRESS_BYTES_MAX,
  CLUSTER_BYTES_MAX,
  PAGE_BYTES_DEFAULT,
  PAGE_BYTES_LEAST,
  PAGE_BYTES_MAX,
  RELAY_DELAY_MS,
} from "./protocol/limits.js";

/** How a store replicates. */
export interface ReplicateOptions {
  /** "host:port" to listen on; port 0 lets the system choose. Without it this node only dials. */
  readonly listen?: string | undefined;
  /** The address that others shall dial, where it differs from the one that is bound. */
  readonly advertise?: string | undefined;
  /** Addresses of members; the address of any one is enough when `discover` is on. */
  readonly peers?: readonly string[] | undefined;
  /**
   * What all members know and nobody else: 8 bytes at least, better 16 or more of chance. Needed beyond
   * loopback.
   */
  readonly secret?: string | Uint8Array | undefined;
  /** A label for people; the store's name unless set. */
  readonly name?: string | undefined;
  /** Only nodes with the same label replicate with each other. Empty unless set. */
  readonly cluster?: string | undefined;
  /** Whether members that others know are dialled too. True unless set. */
  readonly discover?: boolean | undefined;
  /**
   * `atomic` shows a pull of several pages whole; `progressive` each page at once, halves of transactions
   * included.
   */
  readonly bootstrap?: "atomic" | "progressive" | undefined;
  /** Size at which a page of entries is closed, in bytes; 256 KiB unless set. */
  readonly pageBytes?: number | undefined;
  /** Without a sign of life about a cut for so long the peer is asked, in ms; 10,000 unless set. */
  readonly ackTimeoutMs?: number | undefined;
  /**
   * Time between heartbeats, in ms; 10,000 unless set. Three that stay out end the connection; as they
   * wait behind
   * a value that is being sent, the longest value must pass in that time: raise it on slow lines.
   */
  readonly heartbeatMs?: number | undefined;
  /** Least and most wait between two attempts to connect, in ms; 100 and 15,000 unless set. */
  readonly reconnect?:
    | { readonly leastMs?: number | undefined; readonly mostMs?: number | undefined }
    | undefined;
  /** Most connections that are accepted at once; 256 unless set. */
  readonly connectionsMax?: number | undefined;
  /**
   * Most bytes of an unfinished pull kept in memory; 1 GiB unless set, 1.5 GiB at most. Beyond it the pull
   * is published in parts.
   */
  readonly stagedBytesMax?: number | undefined;
}

/** {@link ReplicateOptions} checked and with defaults. */
export interface Settings {
  readonly listen: string | undefined;
  readonly advertise: string | undefined;
  readonly peers: readonly string[];
  readonly secret: Uint8Array | undefined;
  readonly name: string;
  readonly cluster: string;
  readonly discover: boolean;
  readonly progressive: boolean;
  readonly pageBytes: number;
  readonly ackTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly reconnectLeastMs: number;
  readonly reconnectMostMs: number;
  readonly connectionsMax: number;
  readonly stagedBytesMax: number;
  readonly relayDelayMs: number;
}

const KNOWN = [
  "listen",
  "advertise",
  "peers",
  "secret",
  "name",
  "cluster",
  "discover",
  "bootstrap",
  "pageBytes",
  "ackTimeoutMs",
  "heartbeatMs",
  "reconnect",
  "connectionsMax",
  "stagedBytesMax",
];
const SECRET_BYTES_LEAST = 8;
/** What is staged goes into one record of the log, the rest of a commit that passes the limit included. */
const STAGED_BYTES_MOST = RECORD_BYTES_MAX - 2 * COMMIT_BYTES_MAX;
const UTF8 = new TextEncoder();

/** Checks what the caller wants, before anything happens. */
export function readSettings(port: StorePort, options: ReplicateOptions): Settings {
  checkOptions(options, KNOWN, "replicate");
  checkOptions(options.reconnect, ["leastMs", "mostMs"], "replicate: reconnect");
  const secret = readSecret(options.secret);
  const listen = optionalAddress(options.listen, "listen");
  const peers = readPeers(options.peers);
  const { transport } = port.runtime;
  if (secret === undefined) {
    for (const address of listen === undefined ? peers : [listen, ...peers]) {
      if (!transport.isLoopback(address)) throw insecure(address);
    }
  }
  const reconnectLeastMs = integerOption(options.reconnect?.leastMs, "reconnect.leastMs", 100, 1, 3_600_000);
  const { bootstrap } = options;
  if (bootstrap !== undefined && bootstrap !== "atomic" && bootstrap !== "progressive") {
    throw new FulmarTypeError(
      "INVALID_ARGUMENT",
      `bootstrap is "atomic" or "progressive", not ${textOf(bootstrap)}`,
    );
  }
  return {
    listen,
    advertise: optionalAddress(options.advertise, "advertise"),
    peers,
    secret,
    name: optionalText(options.name, "name", NAME_BYTES_MAX) ?? port.name,
    cluster: optionalText(options.cluster, "cluster", CLUSTER_BYTES_MAX) ?? "",
    discover: booleanOption(options.discover, "discover", true),
    progressive: bootstrap === "progressive",
    pageBytes: integerOption(
      options.pageBytes,
      "pageBytes",
      PAGE_BYTES_DEFAULT,
      PAGE_BYTES_LEAST,
      PAGE_BYTES_MAX,
    ),
    ackTimeoutMs: integerOption(options.ackTimeoutMs, "ackTimeoutMs", 10_000, 10, 3_600_000),
    heartbeatMs: integerOption(options.heartbeatMs, "heartbeatMs", 10_000, 10, 3_600_000),
    reconnectLeastMs,
    reconnectMostMs: integerOption(
      options.reconnect?.mostMs,
      "reconnect.mostMs",
      Math.max(15_000, reconnectLeastMs),
      reconnectLeastMs,
      86_400_000,
    ),
    connectionsMax: integerOption(options.connectionsMax, "connectionsMax", 256, 1, 65_536),
    stagedBytesMax: integerOption(options.stagedBytesMax, "stagedBytesMax", 2 ** 30, 0, STAGED_BYTES_MOST),
    relayDelayMs: RELAY_DELAY_MS,
  };
}

/** Refuses an address that a node without a secret must not have to do with. */
export function insecure(address: string): FulmarError {
  return new FulmarError(
    "INSECURE_LISTEN",
    `${address} is not on this machine: set a secret to replicate beyond loopback`,
    { address },
  );
}

/** An address given by the caller. @throws INVALID_ARGUMENT, ADDRESS_INVALID */
export function checkAddress(value: unknown, name: string): string {
  const address = optionalAddress(value, name);
  if (address !== undefined) return address;
  throw new FulmarTypeError("INVALID_ARGUMENT", `${name} must be an address such as "host:port"`);
}

/** Refuses what no attempt could ever reach before anything else is asked of it, such as whether it is loopback. */
function optionalAddress(value: unknown, name: string): string | undefined {
  const address = optionalText(value, name, ADDRESS_BYTES_MAX);
  if (address !== undefined) parseAddress(address);
  return address;
}

function readPeers(value: unknown): string[] {
  if (value === undefined) return [];
  if (!isList(value)) throw new FulmarTypeError("INVALID_ARGUMENT", "peers must be an array of addresses");
  return [...new Set(value.map((address: unknown, i) => checkAddress(address, `peers[${i}]`)))];
}

function readSecret(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" && (!isBytes(value) || !isReadable(value))) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "secret must be a string or bytes");
  }
  const bytes = typeof value === "string" ? UTF8.encode(value) : value.slice();
  if (bytes.length < SECRET_BYTES_LEAST) {
    throw new FulmarRangeError("INVALID_ARGUMENT", `secret must have at least ${SECRET_BYTES_LEAST} bytes`);
  }
  return bytes;
}

function optionalText(value: unknown, name: string, bytesMax: number): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new FulmarTypeError("INVALID_ARGUMENT", `${name} must be a string`);
  if (UTF8.encode(value).length > bytesMax) {
    throw new FulmarRangeError("INVALID_ARGUMENT", `${name} must have at most ${bytesMax} bytes`);
  }
  return value;
}
