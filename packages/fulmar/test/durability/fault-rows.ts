/** A fault that some store shipped, and what a test of that name has to show here. */
export interface FaultRow {
  readonly id: string;
  readonly demand: string;
}

const row = (id: string, demand: string): FaultRow => ({ id, demand });

/** Faults of storage in stores like this one; each has a test whose title begins with its id. */
export const FAULT_ROWS: readonly FaultRow[] = [
  row("T-WAL-01", "what is appended after a torn tail was cut off is found by the next opening"),
  row("T-WAL-02", "a log cut at any length opens"),
  row("T-WAL-03", "a length field makes nothing be allocated beyond the size of the file"),
  row("T-WAL-04", "a crash at each step of the first opening leaves a store or nothing"),
  row("T-WAL-05", "the name of a new log survives a power cut as soon as a write is acknowledged"),
  row("T-WAL-06", "a write that the disk refused, in part or wholly, is gone and stays gone"),
  row("T-WAL-07", "a failed sync is final: it is not tried again, and nothing unsure is acknowledged"),
  row("T-WAL-08", "damage in the middle of the log is refused, garbage behind its end is cut off"),
  row("T-WAL-09", "each flipped bit of a log is noticed, and old bytes never pass for records"),
  row("T-WAL-10", "a record longer than a segment is stored"),
  row("T-WAL-11", "empty keys and values come back"),
  row("T-SNAP-01", "each flipped bit of a checkpoint is noticed"),
  row(
    "T-SNAP-02",
    "an older generation is kept until the new one was read back, and never used in its place",
  ),
  row("T-SNAP-03", "writes beside a checkpoint are in it or in the log"),
  row("T-SNAP-04", "a file is replaced without a moment at which neither is there"),
  row("T-SNAP-05", "a crash in the middle of a checkpoint leaves the one before"),
  row("T-SNAP-06", "the log is let go only after the checkpoint is on stable storage"),
  row("T-SNAP-07", "an unfinished file of an earlier attempt is not built upon"),
  row("T-REC-01", "many cycles of opening, writing and closing lose nothing"),
  row("T-REC-02", "a damaged or shortened checkpoint is refused, never taken for an empty one"),
  row("T-REC-03", "a file that cannot be opened is an error, never an empty start"),
  row("T-REC-04", "a log that cannot be read to its end is not taken for read"),
  row("T-REC-05", "segments are ordered by their number alone, whatever their times say"),
  row("T-REC-06", "a checkpoint has its name durably before the log that it replaces goes"),
  row("T-REC-07", "what was deleted stays deleted after any recovery"),
  row("T-REC-08", "a bad record in the middle does not end the replay silently"),
  row("T-REC-09", "a crash inside a recovery loses nothing that the next one needs"),
  row("T-REC-10", "a commit that checkpoint and log both hold counts once"),
  row("T-REC-11", "what expired or was deleted before an orderly close does not return from an older log"),
  row("T-DUR-01", "no hole: a segment is synced before the one that follows it"),
  row("T-DUR-02", "acknowledged as full means on stable storage, nothing less"),
  row("T-FUZZ-01", "lengths and counts from a file overflow nothing, whatever they are"),
  row("T-CONC-01", "concurrent writers never get the same place in the log"),
  row("T-CONC-02", "a segment that ends between two writes leaves no gap in the log"),
  row("T-ID-01", "a sequence number whose entry was replaced by a peer is not given out again"),
  row("T-ID-02", "a data directory that was wiped or copied is another writer"),
];
