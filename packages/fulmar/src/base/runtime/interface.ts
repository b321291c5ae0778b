/**
 * The runtime seam: the only doors from the library to the outside. Node implementations stand in
 * `runtime/node`, simulated twins in `testing/`. Nothing else in the library reads a clock, draws a
 * random number, touches a disk or a network.
 */

export interface Clock {
  /** Wall time in ms since 1970. May jump in both directions. */
  wallMs(): number;
  /** Milliseconds since some fixed moment. Never goes back. */
  monotonicMs(): number;
}

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /**
   * Runs `task` after the present synchronous work and every promise continuation that is ready, before
   * any I/O.
   */
  soon(task: () => void): void;
  /** Runs `task` once, `delayMs` from now. A background timer does not keep the process alive. */
  after(delayMs: number, task: () => void, options?: { readonly background?: boolean }): Timer;
  /** Resolves after the event loop had a turn, so that long work lets I/O through. */
  turn(): Promise<void>;
}

export interface Random {
  /** Fills `target` with bytes that nobody can predict (simulated: from the seed). */
  fill(target: Uint8Array): void;
  /** A uniform integer in [0, bound), 1 <= bound <= 2^32. For jitter and choice, not for secrets. */
  below(bound: number): number;
}

export interface Checksum {
  /** CRC-32/IEEE of `bytes[from, to)`, continued from `seed`. */
  crc32(bytes: Uint8Array, from: number, to: number, seed: number): number;
}

/** Hashes, keys and sealing; results depend on the arguments alone. */
export interface Cryptography {
  sha256(bytes: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** HKDF-SHA-256 (RFC 5869). */
  deriveKey(secret: Uint8Array, salt: Uint8Array, info: string, lengthBytes: number): Uint8Array;
  /** Compares without telling by its duration where the two differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /**
   * AES-256-GCM: ciphertext followed by its 16-byte tag. A nonce (12 bytes) must never repeat under one
   * key. `associated` bytes are authenticated with it and not part of the result.
   */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated?: Uint8Array): Uint8Array;
  /** The same over the plaintext at the beginning of `bytes`, whose last 16 bytes take the tag. */
  sealInPlace(key: Uint8Array, nonce: Uint8Array, bytes: Uint8Array, associated?: Uint8Array): void;
  /** The plaintext, or undefined if key, nonce or any bytes are not those that were sealed. */
  unseal(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated?: Uint8Array,
  ): Uint8Array | undefined;
}

/** DEFLATE (RFC 1951) without a frame, or a twin of it. */
export interface Compression {
  /** Off the event loop, at a level that is quick rather than thorough. `bytes` must not change until it resolves. */
  deflate(bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * The `lengthBytes` bytes that were deflated; undefined if `bytes` are not what deflating so many gives. Off
   * the event loop; `bytes` must not change until it resolves. Holds no more than so many bytes at any time,
   * whatever `bytes` would become.
   */
  inflate(bytes: Uint8Array, lengthBytes: number): Promise<Uint8Array | undefined>;
}

export interface Diagnostics {
  /** Publishes an event; `details` is called only when somebody listens. */
  emit(event: string, details: () => object): void;
}

/**
 * An open file. Positions and sizes in bytes. Errors are those of the system: an `Error` with `code` such
 * as "ENOSPC".
 */
export interface FileHandle {
  readonly path: string;
  /**
   * Writes in line and returns the bytes written, which may be fewer than given. Survives a killed
   * process, not a power cut.
   */
  writeNow(bytes: Uint8Array, position: number): number;
  /**
   * Writes off the event loop; may be short like {@link writeNow}. `bytes` must not change until it
   * resolves.
   */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Reads up to `target.length` bytes; fewer only at the end of the file; 0 beyond it. */
  read(target: Uint8Array, position: number): Promise<number>;
  size(): Promise<number>;
  /** What {@link FileSystem.status} says of this very file, also once it has lost its name. */
  status(): Promise<FileStatus>;
  truncate(sizeBytes: number): Promise<void>;
  /**
   * fdatasync off the event loop: every earlier write of this file, and the size it needs, is on stable
   * storage.
   */
  syncData(): Promise<void>;
  /** The same in line, blocking the event loop. */
  syncDataNow(): void;
  close(): Promise<void>;
}

export interface FileStatus {
  readonly kind: "file" | "directory" | "other";
  readonly sizeBytes: number;
  /** Names this very file: differs for a copy, stays through a rename. */
  readonly identity: string;
  /** The file system that holds it, as the machine calls it until it is mounted again. */
  readonly device: string;
}

export interface DirectoryLock {
  /**
   * False when what others know the lock by is gone from the directory: one of them may hold it by now. Also false
   * after {@link release}.
   */
  stands(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * `read`: must exist. `update`: must exist, read and write. `create`: must not exist, read and write, mode
 * 0600.
 */
export type OpenMode = "read" | "update" | "create";

export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** Undefined when nothing is there. Follows symbolic links. */
  status(path: string): Promise<FileStatus | undefined>;
  /** Whether anything has this name, a symbolic link that leads nowhere included. */
  isNamed(path: string): Promise<boolean>;
  /** Names in a directory, sorted. */
  list(path: string): Promise<string[]>;
  /** Creates one directory, mode 0700, with missing parents; no error when it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Atomically replaces `to`. Durable after `syncDirectory` of the parent. */
  rename(from: string, to: string): Promise<void>;
  /** A file, or a symbolic link. */
  remove(path: string): Promise<void>;
  /** An empty directory; `ENOTEMPTY` or `EEXIST` when it is not. */
  removeDirectory(path: string): Promise<void>;
  /** Gives `to` the owner, group and mode of `from`, as far as this process may. */
  copyRights(from: string, to: string): Promise<void>;
  /** fsync of a directory: creations, renames and removals in it are on stable storage. */
  syncDirectory(path: string): Promise<void>;
  /** The absolute path without symbolic links. */
  realPath(path: string): Promise<string>;
  join(directory: string, name: string): string;
  parent(path: string): string;
  /**
   * Takes the one writer's lock of a directory. Rejects with `LOCKED` (details: `pid` of the holder)
   * while any live process, this one included, holds it; what a dead process left is no obstacle.
   */
  lock(directory: string): Promise<DirectoryLock>;
  /**
   * Looks who holds the lock, changing nothing: for a directory that may not be written. Rejects with `LOCKED` while a
   * live process holds it, this one included. Resolves to false when there may be one that this process may not ask.
   */
  lookForHolder(directory: string): Promise<boolean>;
}

/** What reading files takes: nothing of it but `open` with another mode than `read` changes anything. */
export type FilesToRead = Pick<FileSystem, "open" | "status" | "list" | "join">;

export interface ConnectionHandler {
  /** One whole frame. The handler owns `bytes`. Must not throw. */
  frame(bytes: Uint8Array): void;
  /** `queuedBytes` fell to zero after having been above it. */
  drained(): void;
  /** Called once; nothing follows. Without `cause` the other side, or `close`, ended it in order. */
  closed(cause?: Error): void;
}

/**
 * A connection that carries whole frames, in order while it lives (simulated networks may break even
 * that).
 */
export interface Connection {
  /** Where the other side is, for people: "127.0.0.1:4100". */
  readonly remote: string;
  /** Bytes given to `send` and not yet taken by the network. */
  readonly queuedBytes: number;
  /** Begins delivery; nothing is delivered, and nothing lost, before. */
  start(handler: ConnectionHandler): void;
  /** Queues a frame. `frame` must not change afterwards. No-op on a closed connection. */
  send(frame: Uint8Array): void;
  /** A longer incoming frame closes the connection before its memory is allocated. */
  limitFrames(frameBytesMax: number): void;
  /** Stops and resumes delivery, which makes the sender wait. */
  pause(): void;
  resume(): void;
  /**
   * Ends the connection; frames already sent are still delivered where possible. Unless it `lingers`, which
   * it does by default, it does not wait for the other side to end too.
   */
  close(lingers?: boolean): void;
}

export interface Listener {
  /** The address really bound, with the port that the system chose: "127.0.0.1:43121". */
  readonly address: string;
  close(): Promise<void>;
}

export interface TransportOptions {
  /** Longest incoming frame until {@link Connection.limitFrames} says otherwise. */
  readonly frameBytesMax: number;
}

export interface ListenOptions extends TransportOptions {
  /** More connections at once are refused. */
  readonly connectionsMax: number;
}

export interface ConnectOptions extends TransportOptions {
  readonly timeoutMs: number;
}

export interface Transport {
  /**
   * `address` is "host:port"; port 0 lets the system choose. Rejects with ADDRESS_IN_USE or
   * ADDRESS_INVALID.
   */
  listen(
    address: string,
    options: ListenOptions,
    accept: (connection: Connection) => void,
  ): Promise<Listener>;
  /** Rejects with CONNECTION_LOST or ADDRESS_INVALID. */
  connect(address: string, options: ConnectOptions): Promise<Connection>;
  /** Whether an address can only be reached from this machine. */
  isLoopback(address: string): boolean;
}

export interface ChannelHandler {
  /** A message that {@link ThreadChannel.receive} did not take. Must not throw. */
  message(message: unknown): void;
  /** Called once, when this end, the other one or the other thread has ended. */
  closed(): void;
}

/**
 * One end of a channel between two threads of a process. Messages arrive whole, once, in order; they are
 * copies, but for shared memory.
 */
export interface ThreadChannel {
  /** The other end can take the message from now on, whatever it is doing. No-op on a closed channel. */
  post(message: unknown): void;
  /** Takes the next message in line; undefined when there is none. */
  receive(): unknown;
  /** Begins delivery of what is not taken in line. */
  start(handler: ChannelHandler): void;
  /** Whether this end keeps its thread alive, as long as the other one is open. It does not unless told to. */
  keepAlive(keeps: boolean): void;
  close(): void;
}

export interface Threads {
  /** A new channel: one end to use here, and the other to be transferred to another thread. */
  channel(): { readonly own: ThreadChannel; readonly other: object };
  /** The end that was transferred to this thread; undefined when it is something else. */
  join(other: unknown): ThreadChannel | undefined;
  /**
   * Keeps a buffer in this thread: who lists it among what a message or a structured clone transfers is refused
   * (Node 21 and later) or sends a copy (Node 20). A stream of bytes takes it all the same, and is refused by
   * Node 24 and later.
   */
  withhold(buffer: ArrayBuffer): void;
}

/** Objects of which somebody wants to know when the garbage collector took them. */
export interface FinalizationList<T extends object> {
  /** Keeps `held`, from which nothing may lead to `target`, until that is garbage or `held` is removed. */
  add(target: object, held: T): void;
  /** No-op for what is not there. */
  remove(held: T): void;
}

export interface Finalization {
  /**
   * Calls `collected` with what was added for an object, in a turn of its own, some time after nobody could reach the
   * object any more, or never. Must not throw. A list that is garbage itself calls nobody.
   */
  list<T extends object>(collected: (held: T) => void): FinalizationList<T>;
}

/** Everything that the library may ask of its surroundings. */
export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly checksum: Checksum;
  readonly cryptography: Cryptography;
  readonly compression: Compression;
  readonly diagnostics: Diagnostics;
  readonly fileSystem: FileSystem;
  readonly transport: Transport;
  readonly threads: Threads;
  readonly finalization: Finalization;
}
