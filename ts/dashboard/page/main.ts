/** The dashboard's page: puts its parts together and shows what the stream tells. */
import type { View } from "../types.ts";
import { Announcer } from "./announcer.ts";
import { part } from "./dom.ts";
import { Events } from "./events.ts";
import { of } from "./format.ts";
import { Glance } from "./glance.ts";
import { Groups } from "./groups.ts";
import { Header } from "./header.ts";
import { Keyspaces } from "./keyspaces.ts";
import { Model } from "./model.ts";
import { Nodes } from "./nodes.ts";
import { type Condition, Stream } from "./stream.ts";
import { themeSwitch } from "./theme.ts";
import { givenToken, TokenForm } from "./token.ts";

const model = new Model();
const announcer = new Announcer();
const header = new Header(announcer);
const content = part("content");
content.hidden = true;
const parts = {
  glance: new Glance(),
  keyspaces: new Keyspaces(model, render),
  nodes: new Nodes(),
  events: new Events(),
  groups: new Groups(render),
};
const stream = new Stream(
  { onPast: (past) => model.takePast(past), onView, onCondition },
  givenToken(),
);
const form = new TokenForm((token) => stream.start(token));

function render(): void {
  const { view } = model;
  if (view === undefined) return;
  header.update(view);
  parts.glance.update(view, model);
  parts.keyspaces.update(view, model);
  parts.nodes.update(view);
  parts.events.update(view);
  parts.groups.update(view);
}

function onView(view: View): void {
  const before = model.view;
  model.takeView(view);
  content.hidden = false;
  render();
  for (const { name, count } of view.keyspaces) {
    const known = before?.keyspaces.find((keyspace) => keyspace.name === name);
    if (known === undefined || known.count === count) continue;
    announcer.say(name, `${name} has ${of(count, "shard")} now`);
  }
}

function onCondition(condition: Condition): void {
  header.show(condition);
  content.classList.toggle("is-stale", condition.name === "lost");
  if (condition.name === "refused") {
    content.hidden = true;
    form.show();
  }
  if (condition.name === "live") form.hide();
}

themeSwitch(render);
// Pieces of the band say what they have room for.
new ResizeObserver(render).observe(part("keyspace-list"));
stream.start();
