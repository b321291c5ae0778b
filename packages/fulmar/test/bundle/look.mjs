// A process that loads the library as its users do, in both ways, and tells what it found.
import { createRequire } from "node:module";
import * as library from "fulmar";
import * as sync from "fulmar/sync";
import * as testing from "fulmar/testing";

const require = createRequire(import.meta.url);
const required = require("fulmar");

/** What an entry point throws, and whether that is what the main one calls a failure, however it was loaded. */
async function failureOf(work) {
  try {
    await work();
  } catch (error) {
    return {
      code: error.code,
      imported: error instanceof library.FulmarError,
      required: error instanceof required.FulmarError,
      stack: error.stack,
    };
  }
  throw new Error("this was meant to fail");
}

const closed = await library.open();
await closed.close();
const failures = {
  library: await failureOf(() => closed.set("key", 1)),
  sync: await failureOf(() => sync.replicate(closed)),
  testing: await failureOf(() => testing.NO_CRYPTOGRAPHY.sha256(new Uint8Array())),
  requiredSync: await failureOf(() => require("fulmar/sync").replicate(closed)),
};

const entries = { library, sync, testing };
process.send({
  failures,
  exported: Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, Object.keys(entry)])),
  functions: Object.values(entries).flatMap((entry) =>
    Object.entries(entry)
      .filter(([, value]) => typeof value === "function")
      .map(([name, value]) => [name, value.name]),
  ),
});
