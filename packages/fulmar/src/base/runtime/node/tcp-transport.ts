import { type AddressInfo, connect as connectSocket, createServer, type Server } from "node:net";
import { type Address, formatAddress, isLoopbackAddress, parseAddress } from "../../address.js";
import { codeOf, type ErrorCode, FulmarError } from "../../errors.js";
import type { Connection, ConnectOptions, Listener, ListenOptions, Transport } from "../interface.js";
import { connectionLost, TcpConnection } from "./tcp-connection.js";

const LISTEN_CODES: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: "ADDRESS_IN_USE",
  EACCES: "ACCESS_DENIED",
  EPERM: "ACCESS_DENIED",
};

function listenError(address: string, cause: unknown): FulmarError {
  const system = codeOf(cause) ?? "unknown error";
  // The rest says that this machine has no such address: unknown name, foreign address, no IPv6, ...
  const code = Object.hasOwn(LISTEN_CODES, system) ? LISTEN_CODES[system] : "ADDRESS_INVALID";
  const message = `cannot listen on ${address} (${system})`;
  return new FulmarError(code, message, { address, system, cause });
}

function startListening(server: Server, address: string, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(listenError(address, error)));
    // Exclusive: a worker of node:cluster would otherwise share the port, and peers reach any of the workers.
    server.listen({ host, port, exclusive: true }, () => resolve());
  });
}

async function listen(
  address: string,
  options: ListenOptions,
  accept: (connection: Connection) => void,
): Promise<Listener> {
  const parsed = parseAddress(address);
  const server = createServer({ pauseOnConnect: true });
  server.maxConnections = options.connectionsMax;
  server.on("connection", (socket) => accept(new TcpConnection(socket, options.frameBytesMax)));
  server.on("error", () => {
    // Before it listens, `startListening` reports it. Later it means that a connection could not be
    // accepted, for want of descriptors, say: the peer notices and tries again.
  });
  await startListening(server, address, parsed);
  const bound = server.address() as AddressInfo;
  return {
    address: formatAddress(bound.address, bound.port),
    async close(): Promise<void> {
      // The callback would wait for the connections too, which are their owners' to close.
      server.close();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function connectError(address: string, cause: unknown): FulmarError {
  if (codeOf(cause) !== "ENOTFOUND") return connectionLost(address, cause);
  return new FulmarError("ADDRESS_INVALID", `the name in ${address} is unknown`, { address, cause });
}

async function connect(address: string, options: ConnectOptions): Promise<Connection> {
  const { host, port } = parseAddress(address);
  if (port === 0)
    throw new FulmarError("ADDRESS_INVALID", `cannot connect to port 0: ${address}`, { address });
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port });
    const timer = setTimeout(() => {
      reject(
        new FulmarError("CONNECTION_LOST", `no answer from ${address} within ${options.timeoutMs} ms`, {
          address,
        }),
      );
      socket.destroy();
    }, options.timeoutMs);
    socket.on("error", (error) => {
      // After the connection stands this changes nothing: the promise is resolved.
      clearTimeout(timer);
      reject(connectError(address, error));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(new TcpConnection(socket, options.frameBytesMax));
    });
  });
}

/** Frames over TCP. */
export const nodeTransport: Transport = Object.freeze({ listen, connect, isLoopback: isLoopbackAddress });
