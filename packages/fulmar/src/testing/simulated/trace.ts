/** Most lines that a trace keeps for people; the hash covers all of them. */
const TRACE_LINES_MAX = 4096;

/**
 * A running fingerprint of everything that happened: two FNV-1a lanes over labels and numbers. Two runs of
 * one seed must end with equal hashes; the last lines say what happened when they do not.
 */
export class Trace {
  #low = 0x811c9dc5;
  #high = 0x9747b28c;
  #count = 0;
  readonly #lines: string[] = [];
  readonly #keepLines: boolean;

  constructor(options: { readonly keepLines?: boolean } = {}) {
    this.#keepLines = options.keepLines ?? false;
  }

  /** Adds one happening. */
  note(label: string, first = 0, second = 0): void {
    for (let i = 0; i < label.length; i++) this.#mix(label.charCodeAt(i));
    this.#mixNumber(first);
    this.#mixNumber(second);
    const at = this.#count++ % TRACE_LINES_MAX;
    if (this.#keepLines) this.#lines[at] = `${label} ${first} ${second}`;
  }

  /** How many happenings were noted. */
  get count(): number {
    return this.#count;
  }

  /** Sixteen hexadecimal digits over everything noted so far. */
  get hash(): string {
    return [this.#high, this.#low].map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** The last happenings, oldest first; empty unless `keepLines` was asked for. */
  lines(): string[] {
    if (this.#count <= TRACE_LINES_MAX) return [...this.#lines];
    const oldest = this.#count % TRACE_LINES_MAX;
    return [...this.#lines.slice(oldest), ...this.#lines.slice(0, oldest)];
  }

  /** Numbers may be fractions of a millisecond: a millionth is kept. */
  #mixNumber(value: number): void {
    const whole = Math.floor(value);
    this.#mix(whole | 0);
    this.#mix(Math.floor(whole / 4294967296) | 0);
    this.#mix(((value - whole) * 1e6) | 0);
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#high = Math.imul((this.#high << 5) ^ (this.#high >>> 27) ^ word, 0x5bd1e995);
  }
}
