import type { Durability } from "../../../src/index.js";
import type { RegisterOperation } from "../../../src/testing/index.js";
import type { Crash, Machine } from "./machine.js";

/** What was seen or acknowledged in this life, and may still be lost. */
interface Pending {
  readonly key: string;
  readonly operation: RegisterOperation;
  readonly isWrite: boolean;
  /** Whether the operating system has it, and all before it. */
  isHandedOver: boolean;
}

/**
 * What clients saw of registers, and how certain it is. An acknowledgement at level `full`, or a flush, holds for
 * everything that was over when it was called; at `relaxed` for everything, too, as long as only the process dies. What
 * was acknowledged and may be lost has had its effect by then, or never; what was seen of it means nothing.
 */
export class RegisterRecorder {
  readonly registers = new Map<string, RegisterOperation[]>();
  readonly #machine: Machine;
  #pending: Pending[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Something that a client was shown. */
  saw(key: string, operation: RegisterOperation): void {
    if (this.#machine.isDead) return;
    this.#pending.push({ key, operation, isWrite: false, isHandedOver: false });
  }

  /** Something that was acknowledged at a level. */
  did(key: string, operation: RegisterOperation, level: Durability): void {
    this.#pending.push({ key, operation, isWrite: true, isHandedOver: false });
    if (level === "full") this.#confirm(operation.begin, operation);
    if (level !== "relaxed") return;
    for (const pending of this.#pending) {
      const isBefore = pending.operation === operation || pending.operation.end <= operation.begin;
      if (isBefore) pending.isHandedOver = true;
    }
  }

  /** Something that a client never learnt the outcome of. It had its effect before the crash, or never. */
  lost(key: string, operation: RegisterOperation): void {
    this.#add(key, { ...operation, unknown: true, until: operation.end });
  }

  /** The deadline of a value came, whoever has written it. */
  expired(key: string, value: number): void {
    const moment = this.#machine.moment();
    this.#add(key, { do: "expire", value, begin: moment, end: moment });
  }

  /** Everything that was over at `moment` is on stable storage. */
  flushed(moment: number): void {
    this.#confirm(moment);
  }

  crashed(how: Crash): void {
    for (const { key, operation, isWrite, isHandedOver } of this.#pending) {
      if (isHandedOver && how === "kill") this.#add(key, operation);
      else if (isWrite) this.lost(key, operation);
    }
    this.#pending = [];
  }

  #confirm(moment: number, also?: RegisterOperation): void {
    const isConfirmed = ({ operation }: Pending) => operation === also || operation.end <= moment;
    for (const pending of this.#pending.filter(isConfirmed)) this.#add(pending.key, pending.operation);
    this.#pending = this.#pending.filter((pending) => !isConfirmed(pending));
  }

  #add(key: string, operation: RegisterOperation): void {
    const register = this.registers.get(key) ?? [];
    register.push(operation);
    this.registers.set(key, register);
  }
}
