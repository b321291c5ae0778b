/** The other process of the replication workloads: a store that listens and tells what it sees. */
import { open } from "fulmar";
import { replicate } from "fulmar/sync";

async function main(): Promise<void> {
  const db = await open<Uint8Array>(process.argv[2], { codec: "bytes" });
  const replicator = await replicate(db, { listen: "127.0.0.1:0" });
  db.watch({ gte: "probe", lte: "probe" }, () => process.send?.("seen"));
  process.once("disconnect", () => {
    replicator
      .close()
      .then(() => db.close())
      .then(() => process.exit(0), fail);
  });
  process.send?.(replicator.address);
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}

main().catch(fail);
