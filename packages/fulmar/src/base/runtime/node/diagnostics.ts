import { type Channel, channel } from "node:diagnostics_channel";
import type { Diagnostics } from "../interface.js";

/** Looking a channel up by name costs more than asking it for subscribers; event names are a small fixed set. */
const channels = new Map<string, Channel>();

export const nodeDiagnostics: Diagnostics = Object.freeze({
  emit(event: string, details: () => object): void {
    let target = channels.get(event);
    if (target === undefined) {
      target = channel(`fulmar:${event}`);
      channels.set(event, target);
    }
    if (target.hasSubscribers) target.publish(details());
  },
});
