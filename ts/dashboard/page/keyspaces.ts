/** All keyspaces, and what their colours show. */
import type { KeyspaceOfView, View } from "../types.ts";
import { Keyed, make, part } from "./dom.ts";
import { of } from "./format.ts";
import { KeyspacePart } from "./keyspace.ts";
import type { Model } from "./model.ts";

/** See the head of this file. */
export class Keyspaces {
  private readonly list = part("keyspace-list");
  private readonly parts = new Keyed<KeyspaceOfView, KeyspacePart>(
    this.list,
    (keyspace) => new KeyspacePart(keyspace),
  );
  private readonly none = empty();
  private readonly more = make("p", { class: "caption" });

  constructor(model: Model, changed: () => void) {
    this.list.after(this.none, this.more);
    part("metric").addEventListener("change", ({ target }) => {
      if (!(target instanceof HTMLInputElement)) return;
      model.metric = target.value === "keys" ? "keys" : "load";
      changed();
    });
  }

  /** Shows how things are. */
  update(view: View, model: Model): void {
    const { keyspaces, keyspaceCount } = view;
    this.none.hidden = keyspaces.length > 0;
    this.parts.update(
      keyspaces,
      ({ name }) => name,
      (one, keyspace) => one.update(keyspace, view, model),
    );
    const left = keyspaceCount - keyspaces.length;
    this.more.hidden = left === 0;
    this.more.textContent = `${of(left, "further keyspace")}: \`npx raft-kv keyspaces\` lists them.`;
  }
}

function empty(): HTMLElement {
  return make("div", { class: "card" }, [
    make("p", { class: "empty" }, [
      "There is no keyspace yet. Once a program calls ",
      make("code", { text: "RaftKV.openKeyspace(name, module, null, policy)" }),
      ", its shards are drawn here, and how they split and merge.",
    ]),
  ]);
}
