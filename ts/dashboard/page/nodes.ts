/** The nodes by zone, and what is wrong with the cluster. */
import type { NodeOfView, View } from "../types.ts";
import { Keyed, make, part, say } from "./dom.ts";
import { brief, count, of } from "./format.ts";
import { problemsOf } from "./health.ts";
import { fillState } from "./table.ts";

const LEVELS: Readonly<Record<NodeOfView["health"], string>> = {
  active: "good",
  leaving: "warn",
  drained: "warn",
  unreachable: "bad",
  purged: "bad",
};
const PROBLEMS_SHOWN = 6;

interface Zone {
  readonly name: string;
  readonly nodes: readonly NodeOfView[];
}

/** See the head of this file. */
export class Nodes {
  private readonly problems = part("problems");
  private readonly zones = new Keyed<Zone, ZonePart>(
    part("zones"),
    ({ name }) => new ZonePart(name),
  );

  /** Shows how things are. */
  update(view: View): void {
    const { nodes } = view;
    const zones = new Map<string, NodeOfView[]>();
    for (const node of nodes) zones.set(node.zone, [...(zones.get(node.zone) ?? []), node]);
    say(part("nodes-count"), `${count(nodes.length)} in ${of(zones.size, "zone")}`);
    this.zones.update(
      [...zones].map(([name, inZone]) => ({ name, nodes: inZone })),
      ({ name }) => name,
      (zone, { nodes: inZone }) => zone.update(inZone, view),
    );
    const problems = problemsOf(view);
    this.problems.hidden = problems.length === 0;
    const shown = problems.slice(0, PROBLEMS_SHOWN);
    const text = shown.join("\n");
    if (this.problems.dataset.shown === text) return;
    this.problems.dataset.shown = text;
    this.problems.replaceChildren(...shown.map((problem) => make("li", { text: problem })));
  }
}

class ZonePart {
  readonly element: HTMLElement;
  private readonly nodes: Keyed<NodeOfView, NodePart>;

  constructor(name: string) {
    const list = make("ul");
    this.element = make("div", { class: "zone" }, [make("h3", { text: name }), list]);
    this.nodes = new Keyed(list, () => new NodePart());
  }

  update(nodes: readonly NodeOfView[], view: View): void {
    this.nodes.update(
      nodes,
      ({ name }) => name,
      (one, node) => one.update(node, node.name === view.node),
    );
  }
}

class NodePart {
  readonly element: HTMLElement;
  private readonly name = make("span", { class: "mono" });
  private readonly own = make("span", { class: "tag", text: "this page" });
  private readonly health = make("span", { class: "health" });
  private readonly where = make("span", { class: "where mono" });
  private readonly groups = make("span", { class: "share" });

  constructor() {
    this.element = make("li", { class: "node" }, [
      make("span", { class: "name" }, [this.name, this.own]),
      this.health,
      this.where,
      this.groups,
    ]);
  }

  update({ name, address, health, voters, leads }: NodeOfView, isOwn: boolean): void {
    say(this.name, brief(name));
    this.own.hidden = !isOwn;
    fillState(this.health, health === "unreachable" ? "out of reach" : health, LEVELS[health]);
    say(this.where, address ?? "listens to no peers");
    say(this.groups, `${of(voters, "group")}, leads ${count(leads)}`);
  }
}
