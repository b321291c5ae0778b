import { Coverage } from "../../../src/record/coverage.js";
import type { Message } from "../../../src/sync/protocol/messages.js";
import { coverageOf, originId, rawEntries, rawPage, rawState } from "./raw-peer.js";

/** One message of each kind with every field in use: what the golden vectors are made of. */
export function sampleMessages(): Record<string, Message> {
  const holed = new Coverage();
  holed.set(originId("a"), { upTo: 9, holes: [{ from: 3, to: 4 }] });
  holed.set(originId("b"), { upTo: 1, holes: [] });
  return {
    hello: {
      type: "hello",
      versionOldest: 1,
      versionNewest: 1,
      sealed: true,
      initiator: true,
      incarnation: originId("a"),
      nonce: Uint8Array.from({ length: 32 }, (_, i) => i),
      cluster: "birds",
      name: "fulmar-1",
    },
    auth: { type: "auth", proof: Uint8Array.from({ length: 32 }, (_, i) => 255 - i) },
    reject: { type: "reject", code: "PROTOCOL_VERSION", text: "too new" },
    stateShort: rawState({ number: 7, answers: 2, doneCut: 3, coverage: coverageOf({ a: 5 }) }),
    stateLong: rawState({
      number: 8,
      answers: 2,
      doneCut: 3,
      openCut: 4,
      openPages: 2,
      epoch: 6,
      pulling: true,
      stalled: true,
      retryHoles: true,
      coverage: holed,
      staged: coverageOf({ c: 12 }, [{ from: 1, to: 7 }]),
      neighbours: [originId("b"), originId("d")],
    }),
    ask: { type: "ask", number: 3 },
    pageOnly: rawPage({
      cut: 1,
      throughOrigin: originId("a"),
      throughSeq: 2,
      from: coverageOf({ a: 1 }),
      to: coverageOf({ a: 2 }),
      dictionary: [originId("a")],
      entries: rawEntries([{ key: "greeting", value: "hello", origin: 1, seq: 2 }]),
    }),
    pageMiddle: rawPage({
      cut: 4,
      index: 1,
      last: false,
      partial: true,
      onStage: true,
      epoch: 6,
      throughOrigin: originId("a"),
      throughSeq: 8,
      dictionary: [originId("a"), originId("b")],
      entries: rawEntries([
        { key: "k1", value: "one", origin: 1, seq: 8 },
        { key: "k2", value: "two", origin: 2, seq: 1 },
      ]),
    }),
    taken: { type: "taken", verdict: "gap", cut: 4, pages: 2 },
  };
}
