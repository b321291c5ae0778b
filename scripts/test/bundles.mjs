import { bundleChanged } from "../build/bundles.mjs";

/** Before the tests: the bundles are those of the sources that are tested. */
export async function setup() {
  await bundleChanged();
}
