/** The parts in use of two packages that bring no types. */
declare module "@nxtedition/rocksdb" {
  interface RocksIterator {
    nextv(size: number): Promise<[key: Buffer, value: Buffer][]>;
    close(): Promise<void>;
  }

  export class RocksLevel {
    constructor(location: string, options: { keyEncoding: "utf8"; valueEncoding: "buffer" });
    open(): Promise<void>;
    close(): Promise<void>;
    batch(
      operations: readonly { type: "put"; key: string; value: Uint8Array }[],
      options: { sync: boolean },
    ): Promise<void>;
    get(key: string): Promise<Buffer>;
    _getManySync(keys: readonly Buffer[]): (Buffer | undefined)[];
    iterator(options: { gte: string; limit: number }): RocksIterator;
  }
}

declare module "better-sqlite3" {
  interface Statement {
    run(...parameters: readonly unknown[]): unknown;
    get(...parameters: readonly unknown[]): unknown;
    iterate(...parameters: readonly unknown[]): IterableIterator<unknown>;
    pluck(): Statement;
    raw(): Statement;
  }

  class Database {
    constructor(path: string, options?: { readonly readonly?: boolean });
    readonly inTransaction: boolean;
    pragma(text: string): unknown;
    exec(text: string): void;
    prepare(text: string): Statement;
    transaction<P extends readonly unknown[]>(work: (...parameters: P) => void): (...parameters: P) => void;
    close(): void;
  }

  export = Database;
}
