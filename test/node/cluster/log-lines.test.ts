/** What the engines of several nodes in one process say, each to its own node's logger. */
import { expect, it } from "vitest";
import type { NodeOptions, RaftKVNode } from "../../../ts/index.ts";
import { freeAddresses, QUICK_CLUSTER } from "../support/cluster.ts";
import { mapModule } from "../support/modules.ts";
import { newNode, scratchDirectory } from "../support/nodes.ts";
import { inPlace } from "../support/placement.ts";
import { eventually } from "../support/waiting.ts";

const policy = { maxShards: 1, maxKeysPerShard: 1_000_000 };
const CHUNK = "x".repeat(1024 * 1024);

interface Said {
  readonly level: string;
  readonly message: string;
}

class Witness {
  readonly said: Said[] = [];
  readonly node: RaftKVNode;
  name = "";

  constructor(options: NodeOptions) {
    const take = (level: string) => (message: string) => this.said.push({ level, message });
    const logger = {
      ...{ debug: take("debug"), info: take("info") },
      ...{ warn: take("warn"), error: take("error") },
    };
    this.node = newNode({ ...QUICK_CLUSTER, ...options, logger });
  }

  async open(zone: string): Promise<void> {
    await this.node.fleet.activate(zone);
    this.name = await this.node.fleet.nodeName();
    await this.node.kv.init();
    await this.node.kv.openKeyspace("kv", mapModule, null, policy);
  }

  /** Waits for a line of that level and form. */
  async says(level: string, form: RegExp): Promise<string> {
    const found = () =>
      this.said.find((line) => line.level === level && form.test(line.message))?.message;
    return eventually(`a line of level ${level} like ${form}`, found);
  }
}

async function openWitnesses(): Promise<Witness[]> {
  const seeds = await freeAddresses(3);
  const witnesses = seeds.map((listen) => new Witness({ listen, seeds }));
  await Promise.all(witnesses.map((witness, at) => witness.open("abc"[at] as string)));
  return witnesses;
}

it("each node's logger gets the lines of its own engine", async () => {
  const witnesses = await openWitnesses();
  const [first] = witnesses as [Witness];
  // Leadership moves to where it belongs first; only then it stays where it is found.
  await inPlace(witnesses.map(({ node }) => node));
  const leader = await eventually("three voters", async () => {
    const [shard] = await first.node.kv.shards("kv");
    if (shard?.members.length !== 3) return undefined;
    return witnesses.find(({ name }) => name === shard.leader);
  });
  for (const witness of witnesses) {
    await witness.says("info", /^journal: opened the log groups=0 /);
    const others = witnesses.filter((other) => other !== witness);
    for (const { name } of others) {
      await witness.says("info", new RegExp(`^transport: connected to a node peer=${name} `));
    }
    if (witness === leader) continue;
    await witness.says("info", /^engine: follows a leader group=kv_0 leader=/);
    expect(witness.said.map(({ message }) => message).join("\n")).not.toMatch(
      new RegExp(`peer=${witness.name}`),
    );
  }
  const anybody = (form: RegExp) =>
    Promise.any(witnesses.map((witness) => witness.says("info", form)));
  await anybody(/^engine: was made a member by a leader group=kv_0$/);
  await anybody(/^engine: added a member group=kv_0 member=node-/);
  await anybody(/^engine: changed the voters group=kv_0 voters=node-\w+,node-/);
  for (let at = 0; at < 9; at++) await leader.node.kv.command("kv", `key ${at}`, { set: CHUNK });
  await leader.says("info", /^engine: wrote a snapshot group=kv_0 bytes=\d{7}/);
  const { name } = leader;
  await leader.node.close();
  const heirs = witnesses.filter((witness) => witness !== leader);
  await leader.says("info", /^engine: closes, and hands leadership over group=kv_0 to=node-/);
  await leader.says("info", /^engine: leads no more: .* group=kv_0 /);
  await Promise.any(heirs.map((heir) => heir.says("info", /won the election, .* group=kv_0 /)));
  for (const heir of heirs) {
    await heir.says("warn", new RegExp(`^transport: no connection to a node peer=${name} `));
    await heir.says("warn", new RegExp(`^${name} does not answer$`));
  }
  for (const { said } of witnesses) expect(said.map(({ level }) => level)).not.toContain("debug");
});

it("a node says what it found in its directory, and nothing below the level", async () => {
  const dataDir = scratchDirectory();
  const open = async (options: NodeOptions) => {
    const witness = new Witness({ dataDir, ...options });
    await witness.open("zone");
    await witness.node.close();
    return witness;
  };
  const first = await open({});
  await first.says("info", /^journal: opened the log groups=0 rounds=0 /);
  const second = await open({});
  await second.says("info", /^journal: opened the log groups=3 rounds=\d+ bytes=\d+ ms=\d+$/);
  const quiet = await open({ logLevel: "warn" });
  expect(quiet.said).toEqual([]);
  const loud = await open({ logLevel: "debug" });
  await loud.says("debug", /^engine: leads as the only member group=kv_0 term=/);
});
