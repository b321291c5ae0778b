import { ClassicLevel } from "classic-level";
import type { Engine, Handle, Level } from "../engine.js";
import { levelHandle } from "./abstract-level.js";

async function openClassicLevel(directory: string, level: Level): Promise<Handle> {
  const db = new ClassicLevel<string, Uint8Array>(directory, { keyEncoding: "utf8", valueEncoding: "view" });
  await db.open();
  const options = { sync: level === "full" };
  return {
    ...levelHandle(db, options, (key) => db.getSync(key)),
    set: (key, value) => db.put(key, value, options),
  };
}

export const classicLevel: Engine = { name: "classic-level", durable: true, open: openClassicLevel };
