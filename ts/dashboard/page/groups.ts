/** All consensus groups with their leaders, those in trouble first. */
import type { GroupOfView, View } from "../types.ts";
import { make, part, say, scrolls } from "./dom.ts";
import { brief, count } from "./format.ts";
import { fillState, Table } from "./table.ts";

const LEVELS: Readonly<Record<GroupOfView["state"], string>> = {
  ok: "good",
  moving: "warn",
  new: "warn",
  removing: "warn",
  "no leader": "bad",
};

/** See the head of this file. */
export class Groups {
  private readonly filter = part<HTMLInputElement>("groups-filter");
  private readonly table = new Table<GroupOfView>("Groups", [
    { title: "Group", kind: "mono", text: ({ name }) => name },
    { title: "State", fill: (cell, { state }) => fillState(cell, state, LEVELS[state]) },
    { title: "Leader", kind: "mono", text: leaderOf },
    { title: "Members", kind: "mono", text: ({ members }) => members.map(brief).join(", ") },
  ]);
  private readonly none = make("p", { class: "empty", text: "No group fits the filter." });

  constructor(changed: () => void) {
    const box = part("groups");
    box.append(this.table.element, this.none);
    scrolls(box, "Groups");
    this.filter.addEventListener("input", changed);
  }

  /** Shows how things are. */
  update({ groups, groupCount }: View): void {
    const wanted = this.filter.value.trim().toLowerCase();
    const fitting = groups.filter((group) =>
      `${group.name} ${group.state} ${leaderOf(group)}`.toLowerCase().includes(wanted),
    );
    const all = count(groupCount);
    const some = `${count(fitting.length)} of ${all}`;
    say(part("groups-count"), fitting.length === groupCount ? all : some);
    this.none.hidden = fitting.length > 0;
    this.table.element.hidden = fitting.length === 0;
    this.table.update(fitting, ({ name }) => name);
  }
}

function leaderOf({ leader, state }: GroupOfView): string {
  if (leader !== null) return brief(leader);
  return state === "ok" || state === "moving" ? "not known" : "–";
}
