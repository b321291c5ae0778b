import { open } from "fulmar";
import { replicate } from "fulmar/sync";

const left = await open("data-left", { name: "left" });
const right = await open("data-right", { name: "right" });

// Port 0 lets the system choose; the address really bound is in `address`.
const listener = await replicate(left, { listen: "127.0.0.1:0" });
const dialler = await replicate(right, { peers: [listener.address] });

await left.set("written-on", "left");
await right.set("also-written-on", "right");

// Resolves when a peer has, on its disk, everything that this store has.
await Promise.all([listener.synced(undefined, { peers: 1 }), dialler.synced(undefined, { peers: 1 })]);

console.log("right reads", right.get("written-on"));
console.log("left reads", left.get("also-written-on"));
if (left.digest() !== right.digest()) throw new Error("the stores differ");
console.log("both hold the same:", left.digest());

await dialler.close();
await listener.close();
await left.close();
await right.close();
