/** What the host is told of while this node leads a shard; it may not touch the machine. */
export interface ShardObserver {
  /** A command took effect. What this throws goes to `hookFailed`. */
  committed(
    before: unknown,
    sizeBefore: number,
    key: unknown,
    argument: unknown,
    ret: unknown,
    after: unknown,
    sizeAfter: number,
  ): void;
  /** A query was answered from a key's value. Throws nothing. */
  answered?(value: unknown, size: number, key: unknown, argument: unknown, ret: unknown): void;
  /** `committed` threw. */
  hookFailed(error: unknown): void;
  /** Statistics may have changed: where thresholds are looked at. Called with every command. */
  changed(): void;
}
