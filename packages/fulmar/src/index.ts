/**
 * Fulmar: an embedded, ordered, durable, replicated key-value store.
 *
 * @packageDocumentation
 */
export {
  ERROR_CATALOGUE,
  type ErrorCode,
  type ErrorDetails,
  FulmarError,
  FulmarRangeError,
  FulmarTypeError,
} from "./base/errors.js";
export type { Limits } from "./base/limits.js";
export type { Runtime } from "./base/runtime/interface.js";
export {
  bigintCodec,
  bytesCodec,
  type Codec,
  type CodecNameFor,
  jsonCodec,
  textCodec,
} from "./codec/codec.js";
export type {
  BackupSummary,
  CareProgress,
  LostPart,
  RepairedFile,
  RepairReport,
  RestoreSummary,
  StopSignal,
} from "./durability/care-types.js";
export type { Finding, VerifyReport } from "./durability/directory-types.js";
export { type KeyJson, keyFromJson, keyToJson } from "./keys/json.js";
export type { KeyPart } from "./keys/key.js";
export { compareStamps, type Stamp } from "./record/stamp.js";
export type { Atomic, AtomicOutcome, Check, FailedCheck } from "./store/atomic.js";
export type { BackupOptions } from "./store/backup.js";
export type { ConditionalOptions, Incremented, Outcome } from "./store/conditions.js";
export { ConflictError, type ConflictingKey } from "./store/conflict.js";
export { dump } from "./store/dump.js";
export type {
  Encryption,
  EncryptionKeys,
  EncryptionProvider,
  EncryptionStatus,
} from "./store/encryption.js";
export { type LoadOptions, type LoadSummary, load } from "./store/load.js";
export type { Namespace, NamespaceOptions, SchemaOptions } from "./store/namespace.js";
export { open } from "./store/open.js";
export { openReader, type ReaderOptions } from "./store/open-reader.js";
export type { List, Readable } from "./store/readable.js";
export type { ReaderHandle } from "./store/reader-messages.js";
export { type RepairOptions, repair } from "./store/repair.js";
export { type RestoreOptions, restore } from "./store/restore.js";
export type { SchemaInput, SchemaIssue, SchemaOutput, SchemaResult, StandardSchema } from "./store/schema.js";
export type { SharedNamespace, SharedReader } from "./store/shared-reader.js";
export type { Snapshot } from "./store/snapshot.js";
export type { Store } from "./store/store.js";
export type { TransactionBody, TransactOptions } from "./store/transact.js";
export type {
  Transaction,
  TransactionEntry,
  TransactionReadOptions,
} from "./store/transaction.js";
export type { Isolation, Savepoint } from "./store/transaction-state.js";
export type {
  BatchOperation,
  Change,
  CheckpointPolicy,
  CheckpointSummary,
  CommitEvent,
  DeleteChange,
  Durability,
  Entry,
  EntryOptions,
  Eviction,
  EvictOptions,
  EvictResult,
  Gap,
  Key,
  ListOptions,
  OpenOptions,
  ProgressListener,
  RangeOptions,
  SetChange,
  SharedPolicy,
  StoreStatus,
  Tombstone,
  WriteOptions,
  Written,
} from "./store/types.js";
export { type VerifyOptions, verify } from "./store/verify.js";
export type { ListenOptions, WatchLimits, WatchOptions } from "./store/watch/request.js";
export type { WatchStream } from "./store/watch/stream.js";
export type { Watch } from "./store/watch/subscriber.js";
export type { Writable } from "./store/writable.js";
