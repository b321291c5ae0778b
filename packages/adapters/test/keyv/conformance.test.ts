import keyvTestSuite, { keyvIteratorTests } from "@keyv/test-suite";
import { open, type Store } from "fulmar";
import { Keyv } from "keyv";
import * as vitest from "vitest";
import { FulmarKeyv } from "../../src/keyv/index.js";

const { afterAll, beforeAll, describe } = vitest;

// A store for each: one of Keyv's tests turns the clock forward, and a store's clock never goes back.
describe("the tests of Keyv", () => {
  let store: Store;

  beforeAll(async () => {
    store = await open();
  });

  afterAll(() => store.close());

  keyvTestSuite(vitest, Keyv, () => new FulmarKeyv(store));
});

describe("the tests of Keyv for iterators", () => {
  let store: Store<string>;

  beforeAll(async () => {
    store = await open<string>(undefined, { codec: "text" });
  });

  afterAll(() => store.close());

  keyvIteratorTests(vitest, Keyv, () => new FulmarKeyv(store));
});
