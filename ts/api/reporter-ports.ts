/** Where the statistics reporter gets a node's figures, and how it sends them. */
import type { ReportedShard } from "../directory/commands.ts";
import type { SplitMergePolicyFields } from "../policy.ts";
import type { Cancel } from "../workflow/ports.ts";
import type { ReporterPorts, ShardFigures } from "../workflow/reporter.ts";
import type { LocalKeyspaces } from "./keyspaces.ts";
import type { NodePorts } from "./workflow-ports.ts";

/** See the head of this file. */
export class NodeReporterPorts implements ReporterPorts {
  private readonly ports: NodePorts;
  private readonly keyspaces: LocalKeyspaces;

  constructor(ports: NodePorts, keyspaces: LocalKeyspaces) {
    this.ports = ports;
    this.keyspaces = keyspaces;
  }

  now(): number {
    return this.ports.now();
  }

  elapsed(): number {
    return this.ports.elapsed();
  }

  schedule(delay: number, callback: () => void): Cancel {
    return this.ports.schedule(delay, callback);
  }

  takeFigures(): readonly ShardFigures[] {
    const figures: ShardFigures[] = [];
    for (const { keyspace, shard, replica } of this.keyspaces.shards()) {
      if (!replica.leading) continue;
      const { keys, size } = shard.statistics();
      const { start, end } = shard.range;
      const { name, group } = replica;
      const load = shard.takeLoad();
      figures.push({ keyspace: keyspace.name, name, group, start, end, keys, size, load });
    }
    return figures;
  }

  policy(keyspace: string): SplitMergePolicyFields | undefined {
    return this.ports.directory().keyspaces.get(keyspace)?.policy;
  }

  async report(shards: readonly ReportedShard[]): Promise<readonly string[]> {
    const reply = await this.ports.command({ type: "report", now: this.now(), shards });
    return reply.ok && "taken" in reply ? reply.taken : [];
  }
}
