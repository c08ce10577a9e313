/** `raft-kv demo`: the README example with a live view of its shards. */
import { askedToEnd } from "../ending.ts";
import type { Screen } from "../screen.ts";
import { band, count } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

type RaftKv = typeof import("raft-kv");
type Command = { set: unknown } | "unset";

const KEYS = 200;
const BAND_WIDTH = 48;
const LOOK_MS = 100;
const WAIT_MS_MAX = 30_000;
/** Between two rounds. */
const BREAK_MS = 5_000;

export const demo: Verb = {
  name: "demo",
  parameters: "",
  summary: "the README example: shards split and merge",
  details: "Runs a node of its own in this process that keeps nothing. Needs no server.",
  options: {
    dashboard: { type: "boolean", help: "show it in a browser too, again and again until Ctrl-C" },
  },
  async run({ screen, options }) {
    // Nothing else here needs the engine, so the other verbs do not load it.
    const library = await import("raft-kv");
    const { RaftFleet } = library;
    await RaftFleet.activate("some_zone", { dataDir: ":memory:" });
    try {
      const picture = new Picture(screen);
      if (options.dashboard !== true) await play(library, picture);
      else {
        const { url } = await RaftFleet.dashboard({ port: 0 });
        screen.line(url);
        await Promise.race([askedToEnd(), playOn(library, picture)]);
      }
    } finally {
      await RaftFleet.deactivate();
    }
    return EXIT.good;
  },
};

async function playOn(library: RaftKv, picture: Picture): Promise<never> {
  for (;;) {
    await play(library, picture);
    await later(BREAK_MS);
  }
}

async function play({ RaftKV, SplitMergePolicy }: RaftKv, picture: Picture): Promise<void> {
  await RaftKV.init();
  const policy = new SplitMergePolicy({ maxShards: 16, maxKeysPerShard: 100 });
  const kv = await RaftKV.openKeyspace<unknown, string, Command, "ok", "get", unknown>(
    "kv",
    {
      command: (_previous, _size, _key, arg) =>
        arg === "unset" ? ["ok", 5, undefined, 0] : ["ok", 5, arg.set, 0],
      query: (value) => [value, 1],
    },
    null,
    policy,
  );
  const look = () => kv.shards();
  picture.say("a keyspace whose shards hold at most 100 keys each:");
  for (let at = 0; at < KEYS; at++) {
    await kv.command(`key-${at}`, { set: at });
    if (at % 10 === 0) await picture.draw(await look());
    await later(10);
  }
  await until(3, picture, look);
  picture.say(`${KEYS} keys were set. Now they are removed:`);
  for (let at = 0; at < KEYS; at++) {
    await kv.command(`key-${at}`, "unset");
    if (at % 10 === 0) await picture.draw(await look());
    await later(5);
  }
  await until(1, picture, look);
  picture.say("one shard again. The same few lines are in README.md.");
}

type Shards = Awaited<ReturnType<RaftKv["RaftKV"]["shards"]>>;

async function until(wanted: number, picture: Picture, look: () => Promise<Shards>) {
  const end = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const shards = await look();
    await picture.draw(shards);
    if (shards.length === wanted && shards.every(({ state }) => state === "serving")) return;
    if (performance.now() > end) throw new Error(`waited in vain for ${wanted} shards`);
    await later(LOOK_MS);
  }
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The shards as a band of the hash range: drawn over itself on a terminal, else when they change. */
class Picture {
  private readonly screen: Screen;
  private drawn = 0;
  private names = "";

  constructor(screen: Screen) {
    this.screen = screen;
  }

  /** Ends the picture, and says what comes next. */
  say(text: string): void {
    this.drawn = 0;
    this.names = "";
    this.screen.line(`\n${this.screen.paint(text, "bold")}`);
  }

  /** Draws the shards as they are. */
  async draw(shards: Shards): Promise<void> {
    const names = shards.map(({ name }) => name).join();
    if (!this.screen.isTerminal && names === this.names) return;
    this.names = names;
    const lines = shards.map((shard) => this.lineOf(shard));
    this.screen.redraw(lines, this.screen.isTerminal ? this.drawn : 0);
    this.drawn = lines.length;
  }

  private lineOf({ name, start, end, keys, state }: Shards[number]): string {
    const range = this.screen.paint(band(start, end, BAND_WIDTH), "cyan");
    const doing = state === "serving" ? "" : this.screen.paint(state, "yellow");
    return `${range}  ${name.padEnd(12)} ${count(keys).padStart(4)} ${doing}`;
  }
}
