/** A directory to drive in tests, and what must hold of its state at every moment. */
import { expect } from "vitest";
import type { DirectoryCommand, DirectoryReplies } from "../../ts/directory/commands.ts";
import { directoryModule } from "../../ts/directory/directory.ts";
import { type DirectoryState, HASH_SPACE } from "../../ts/directory/state.ts";
import { isPublished, type Workflow } from "../../ts/directory/workflow.ts";
import type { SplitMergePolicyFields } from "../../ts/policy.ts";

export const POLICY: SplitMergePolicyFields = {
  maxShards: 8,
  minShards: 1,
  maxKeysPerShard: 100,
  loadPerQueryToMissingKey: 0,
  mergeThresholdRatio: 0.5,
};
export const INELIGIBLE_MS = 2_000;
const LOCK_MS = 30_000;

type Replies<C extends DirectoryCommand> = DirectoryReplies[C["type"]];
type Bare<C> = C extends DirectoryCommand ? Omit<C, "node" | "now" | "lockPeriod"> : never;

export class Directory {
  state: DirectoryState = directoryModule.init();
  now = 1_000_000;
  node = 1;
  /** Workflow and transfer ids that were seen, for "never reused". */
  private readonly seen = new Map<number, string>();

  send<C extends Bare<DirectoryCommand>>(bare: C): DirectoryReplies[C["type"]] {
    const common = { node: this.node, now: this.now, lockPeriod: LOCK_MS };
    const command = { ...common, ...bare } as unknown as DirectoryCommand;
    const before = this.state.nextWorkflow;
    const [reply, next] = directoryModule.command(this.state, command);
    this.state = next;
    this.check(before);
    return reply as Replies<Extract<DirectoryCommand, { type: C["type"] }>>;
  }

  register(name: string, policy: Partial<SplitMergePolicyFields> = {}, token = `register ${name}`) {
    const settings = { replicas: 1 };
    return this.send({ type: "register", name, policy: { ...POLICY, ...policy }, settings, token });
  }

  /** A keyspace whose first shard exists. */
  open(name: string, policy: Partial<SplitMergePolicyFields> = {}) {
    this.register(name, policy);
    for (const workflow of this.running())
      if (workflow.kind === "register") this.finish(workflow.id);
  }

  report(keys: Record<string, number>, now = this.now) {
    const shards = this.shards().flatMap(({ keyspace, shard }) => {
      const { name, group, start, end } = shard;
      const count = keys[name];
      if (count === undefined) return [];
      return [{ keyspace, name, group, start, end, keys: count, size: 0, load: 0 }];
    });
    return this.send({ type: "report", now, shards });
  }

  plan(): Workflow[] {
    const { started } = this.send({ type: "plan", ineligiblePeriod: INELIGIBLE_MS });
    return started.map((id) => this.state.workflows.get(id)!);
  }

  /** Says that the present step of a workflow was carried out. */
  step(id: number) {
    const workflow = this.state.workflows.get(id);
    if (workflow) this.advance(id, workflow.step);
  }

  advance(workflow: number, step: Workflow["step"]) {
    // A group id that a repeated request would give again.
    return this.send({ type: "advance", workflow, step, group: 1_000 + workflow });
  }

  finish(id: number) {
    while (this.state.workflows.has(id)) this.step(id);
  }

  running(): Workflow[] {
    return [...this.state.workflows.values()];
  }

  shards() {
    return [...this.state.keyspaces.values()].flatMap((keyspace) =>
      keyspace.shards.map((shard) => ({ keyspace: keyspace.name, shard })),
    );
  }

  names(keyspace: string) {
    return this.state.keyspaces.get(keyspace)?.shards.map((shard) => shard.name);
  }

  private check(firstNew: number) {
    checkDirectory(this.state);
    for (const workflow of this.running()) {
      const identity = `${workflow.kind} ${workflow.keyspace} ${workflow.startedAt}`;
      if (workflow.id < firstNew) expect(this.seen.get(workflow.id)).toBe(identity);
      else expect(this.seen.has(workflow.id)).toBe(false);
      this.seen.set(workflow.id, identity);
    }
  }
}

/** The invariants of the directory. */
export function checkDirectory(state: DirectoryState): void {
  const transfers = new Set<number>();
  for (const workflow of state.workflows.values()) {
    ensure(workflow.id < state.nextWorkflow);
    if (workflow.kind !== "split" && workflow.kind !== "merge") continue;
    same(transfers.has(workflow.transfer), false);
    transfers.add(workflow.transfer);
    ensure(workflow.transfer < state.nextTransfer);
  }
  for (const keyspace of state.keyspaces.values()) {
    const { shards, policy } = keyspace;
    let at = 0;
    for (const shard of shards) {
      same(shard.start, at);
      ensure(shard.end > shard.start);
      at = shard.end;
      if (shard.lock === null) continue;
      const holder = state.workflows.get(shard.lock);
      same(holder?.keyspace, keyspace.name);
    }
    if (shards.length > 0) same(at, HASH_SPACE);
    same(new Set(shards.map((shard) => shard.group)).size, shards.length);
    // Every shard of a running transfer is locked by it, and by nothing else.
    let coming = 0;
    let going = 0;
    for (const workflow of state.workflows.values()) {
      if (workflow.keyspace !== keyspace.name) continue;
      if (workflow.kind !== "split" && workflow.kind !== "merge") continue;
      for (const { name } of [workflow.sender, workflow.receiver]) {
        const shard = shards.find((known) => known.name === name);
        if (shard) same(shard.lock, workflow.id);
      }
      if (isPublished(workflow) || workflow.step === "abort") continue;
      if (workflow.kind === "split") coming++;
      else going++;
    }
    if (coming > 0) ensure(shards.length + coming <= policy.maxShards);
    if (going > 0) ensure(shards.length - going >= policy.minShards);
  }
}

// Without vitest's `expect`: simulations check this many thousand times.

function same(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`invariant: ${actual} is not ${expected}`);
}

function ensure(holds: boolean): void {
  if (!holds) throw new Error("an invariant of the directory does not hold");
}
