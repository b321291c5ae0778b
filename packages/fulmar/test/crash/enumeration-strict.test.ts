import { vi } from "vitest";
import type * as shape from "../../src/memory/offheap/shape.js";
import { enumerationTests } from "./enumeration/tests.js";

vi.mock("../../src/memory/offheap/shape.js", async (original) => {
  const { small } = await import("./enumeration/small-engine.js");
  const real = await original<typeof shape>();
  return { ...real, DEFAULT_SHAPE: small(real.DEFAULT_SHAPE) };
});

enumerationTests("posix-strict");
