/** The head of the page: which cluster, how it is, and whether the page is live. */
import type { View } from "../types.ts";
import type { Announcer } from "./announcer.ts";
import { look, part, say } from "./dom.ts";
import { brief, clock } from "./format.ts";
import { healthOf } from "./health.ts";
import type { Condition } from "./stream.ts";
import { fillState } from "./table.ts";

/** See the head of this file. */
export class Header {
  private readonly announcer: Announcer;
  private healthText = "";
  private condition: Condition["name"] = "connecting";
  private at: number | undefined;

  constructor(announcer: Announcer) {
    this.announcer = announcer;
  }

  /** Shows how the cluster is. */
  update(view: View): void {
    this.at = view.at;
    say(part("cluster"), view.cluster);
    const title = `${view.cluster} – raft-kv`;
    if (document.title !== title) document.title = title;
    const { text, level } = healthOf(view);
    const chip = part("health");
    chip.hidden = false;
    fillState(chip, text, level);
    if (this.healthText !== "" && this.healthText !== text) {
      this.announcer.say("health", `The cluster: ${text}`);
    }
    this.healthText = text;
    const served = `Served by ${brief(view.node)}, raft-kv ${view.version}.`;
    say(part("footer"), `${served} Rates and latencies are those of its own program.`);
  }

  /** Shows how the stream is. */
  show(condition: Condition): void {
    const element = part("connection");
    const { name } = condition;
    look(element, name === "lost" ? "connection away" : "connection");
    const since = this.at === undefined ? "" : `, as of ${clock(this.at)}`;
    if (name === "live") fillState(element, "Live", "good");
    if (name === "connecting") fillState(element, "Connecting", "");
    if (name === "lost") {
      fillState(element, `Not live${since}: ${condition.reason}. Trying again`, "warn");
    }
    if (name === "refused") fillState(element, "Locked", "");
    if (name !== this.condition && this.condition !== "connecting") {
      if (name === "lost") this.announcer.say("stream", "The connection to the node is lost");
      if (name === "live") this.announcer.say("stream", "The page is live again");
    }
    this.condition = name;
  }
}
