/** What happened lately, newest first. */
import type { Happening, View } from "../types.ts";
import { Keyed, look, make, part, say, scrolls } from "./dom.ts";
import { clock } from "./format.ts";

/** How kinds are called, and how grave they are. */
const KINDS: Readonly<Record<string, readonly [name: string, level: string]>> = {
  split: ["Split", ""],
  merge: ["Merge", ""],
  leaderChange: ["Leader", ""],
  nodeUnreachable: ["Out of reach", "bad"],
  nodePurged: ["Lost node", "bad"],
  replicaDivergence: ["Divergence", "bad"],
  warning: ["Warning", "warn"],
};

interface EventPart {
  readonly element: HTMLElement;
  readonly time: HTMLTimeElement;
  readonly kind: HTMLElement;
  readonly text: HTMLElement;
}

/** See the head of this file. */
export class Events {
  private readonly parts = new Keyed<Happening, EventPart>(part("events"), () => eventPart());
  private readonly none = part("no-events");

  constructor() {
    scrolls(part("events-box"), "Events");
  }

  /** Shows what happened. */
  update({ happenings }: View): void {
    this.none.hidden = happenings.length > 0;
    say(part("events-count"), happenings.length === 0 ? "" : `${happenings.length}, newest first`);
    this.parts.update(
      [...happenings].reverse(),
      ({ number, at }) => `${at} ${number}`,
      ({ time, kind, text }, happening) => {
        const [name, level] = KINDS[happening.kind] ?? [happening.kind, ""];
        say(time, clock(happening.at));
        time.dateTime = new Date(happening.at).toISOString();
        say(kind, name);
        look(kind, `kind ${level}`);
        say(text, happening.text);
      },
    );
  }
}

function eventPart(): EventPart {
  const time = make("time");
  const kind = make("span", { class: "kind" });
  const text = make("span");
  return { element: make("li", {}, [time, make("p", {}, [kind, " ", text])]), time, kind, text };
}
