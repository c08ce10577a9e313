/** For how long keys waited for a shard to open, per shard: `raftkv_transfer_pause_seconds`. */

/** Pauses of the transfers into one shard, milliseconds. */
export interface TransferPause {
  readonly last: number;
  readonly max: number;
}

/** The pauses that this node has measured. */
export class TransferPauses {
  private readonly shards = new Map<string, TransferPause>();

  /** Notes the pause of a transfer into a shard. */
  add(shard: string, pauseMs: number): void {
    const max = Math.max(pauseMs, this.shards.get(shard)?.max ?? 0);
    this.shards.set(shard, { last: pauseMs, max });
  }

  /** The pauses of a shard, if one was measured here. */
  of(shard: string): TransferPause | undefined {
    return this.shards.get(shard);
  }

  /** Forgets the shards that are not among these, so that the table stays bounded. */
  retain(shards: ReadonlySet<string>): void {
    for (const name of this.shards.keys()) {
      if (!shards.has(name)) this.shards.delete(name);
    }
  }

  /** Every shard with its pauses. */
  entries(): IterableIterator<[string, TransferPause]> {
    return this.shards.entries();
  }
}
