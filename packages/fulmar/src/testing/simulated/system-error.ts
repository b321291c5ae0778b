/** The error codes of the simulated system. */
export type SystemCode =
  | "EACCES"
  | "EBADF"
  | "EDQUOT"
  | "EEXIST"
  | "EFBIG"
  | "EINVAL"
  | "EIO"
  | "EISDIR"
  | "EMFILE"
  | "ENOENT"
  | "ENOSPC"
  | "ENOTDIR"
  | "ENOTEMPTY"
  | "EROFS";

/** An error that looks like one of Node's file system: an `Error` with `code`, `syscall` and `path`. */
export class SystemError extends Error {
  readonly code: SystemCode;
  readonly syscall: string;
  readonly path: string;

  constructor(code: SystemCode, syscall: string, path: string) {
    super(`${code}: simulated, ${syscall} '${path}'`);
    this.code = code;
    this.syscall = syscall;
    this.path = path;
  }
}
