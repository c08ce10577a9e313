/** Which nodes of a test's cluster do not reach which others. */
import type { ClusterNode } from "./node.ts";

/** See the head of this file. */
export class Cuts {
  /** Of each node, those that it does not reach. */
  private readonly unreached = new Map<ClusterNode, Set<ClusterNode>>();

  /** Does `from` reach `to`? */
  reaches(from: ClusterNode, to: ClusterNode): boolean {
    return this.unreached.get(from)?.has(to) !== true;
  }

  /** None of `from` reaches any of `to` any more. */
  cut(from: readonly ClusterNode[], to: readonly ClusterNode[]): void {
    for (const node of from) {
      const unreached = this.unreached.get(node) ?? new Set();
      this.unreached.set(node, unreached);
      for (const other of to) if (other !== node) unreached.add(other);
    }
  }

  /** All nodes reach each other. */
  clear(): void {
    this.unreached.clear();
  }

  /** Has all nodes hold to the cuts; one that is not running is kept away by the others. */
  apply(nodes: readonly ClusterNode[]): void {
    const ids = (which: (other: ClusterNode) => boolean) =>
      nodes.filter((other) => other.id !== 0 && which(other)).map(({ id }) => id);
    for (const node of nodes) {
      const to = ids((other) => !this.reaches(node, other));
      const from = ids((other) => !this.reaches(other, node));
      node.cutOff(to, from);
    }
  }
}
