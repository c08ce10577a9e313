/**
 * The cluster that a backup is restored into, seen from one of its nodes. Entries are sent to the
 * shards that own them; those whose range moved meanwhile are sent again, to the new owner.
 */
import type { KeyspaceDescription, PlacedEntries, RestoreTarget } from "../../backup/ports.ts";
import { pause } from "../../client/pause.ts";
import { Reader, Writer, writeKey } from "../../codec/index.ts";
import { RaftKVError } from "../../errors.ts";
import { BACKUP_OWNER_POLL_MS, BACKUP_OWNER_WAIT_MS, BACKUP_PIECE_BYTES } from "../../limits.ts";
import { describeKey } from "../../shard/describe.ts";
import { type EntryImage, readEntry, writeEntry } from "../../shard/entry-bytes.ts";
import { type PlacedReply, shardCommand } from "../../shard/requests.ts";
import { VERSION } from "../../version.ts";
import { findKeyspace } from "../finding.ts";
import type { AdminPorts } from "../ports.ts";

/** An entry of a backup, and where it belongs in this cluster. */
interface Placeable {
  readonly hash: number;
  readonly bytes: Uint8Array;
}

/** Entries for one group, few enough for one command. */
interface Parcel {
  readonly group: number;
  readonly entries: readonly Placeable[];
}

/** See the head of this file. */
export class ClusterTarget implements RestoreTarget {
  private readonly ports: AdminPorts;

  constructor(ports: AdminPorts) {
    this.ports = ports;
  }

  async begin(keyspaces: readonly KeyspaceDescription[]): Promise<void> {
    const { ports } = this;
    const others = [...ports.fleet().nodes.values()].filter(({ version }) => version !== VERSION);
    if (others.length > 0) {
      // A replica of a version that does not know the command would come out differently.
      const names = others.map(({ name, version }) => `${name} (${version})`).join(", ");
      const message = `not all nodes run raft-kv ${VERSION}: ${names}. Finish the upgrade first`;
      throw new RaftKVError("INVALID_ARGUMENT", message);
    }
    // As with a backup: what is known here of the keyspaces has to be up to date.
    await ports.directoryCommand({ type: "report", now: Date.now(), shards: [] });
    for (const { name, policy, replicas } of keyspaces) {
      if (ports.directory().keyspaces.has(name)) continue;
      if (!ports.isBound(name)) throw notBound(name);
      await ports.register(name, policy, replicas);
    }
  }

  async place(keyspace: string, entries: Uint8Array, overwrite: boolean): Promise<PlacedEntries> {
    const { ports } = this;
    const end = performance.now() + BACKUP_OWNER_WAIT_MS;
    const total = { placed: 0, equal: 0, differing: 0, example: "" };
    let left = this.placeables(keyspace, entries);
    for (;;) {
      let failure: unknown;
      const parcels = parcelsOf(left, findKeyspace(ports, keyspace).shards);
      left = parcels.unowned;
      const work = parcels.list.map(async ({ group, entries }) => {
        try {
          const reply = await this.send(group, entries, overwrite);
          add(total, reply);
          left.push(...entries.filter(({ hash }) => hash < reply.start || hash >= reply.end));
        } catch (error) {
          failure = isPassing(error) ? failure : error;
          left.push(...entries);
        }
      });
      await Promise.all(work);
      if (failure !== undefined) throw failure;
      if (left.length === 0 || (total.differing > 0 && !overwrite)) return total;
      ports.checkOpen();
      if (performance.now() > end) throw nobody(keyspace);
      await pause(BACKUP_OWNER_POLL_MS);
    }
  }

  private async send(
    group: number,
    entries: readonly Placeable[],
    overwrite: boolean,
  ): Promise<PlacedReply> {
    const bytes = Buffer.concat(entries.map((entry) => entry.bytes));
    const command = shardCommand.place(new Uint8Array(bytes), overwrite);
    return (await this.ports.shardCommand(group, command)) as PlacedReply;
  }

  /** The entries one by one, with the hashes that their keys have here. */
  private placeables(keyspace: string, entries: Uint8Array): Placeable[] {
    const { number } = findKeyspace(this.ports, keyspace);
    const found: Placeable[] = [];
    const reader = new Reader(entries);
    const key = new Writer();
    while (reader.at < entries.length) {
      const from = reader.at;
      const image = entryIn(reader);
      key.reset();
      writeKey(key, image.key);
      const hashes = this.ports.hashOf(number, key.copy());
      if (hashes === null) throw nobody(keyspace);
      const { hash } = hashes;
      const fingerprint = hashes.fingerprint | 0;
      let bytes = entries.subarray(from, reader.at);
      if (hash !== image.hash || fingerprint !== image.fingerprint) {
        const writer = new Writer();
        writeEntry(writer, { ...image, hash, fingerprint });
        bytes = writer.copy();
      }
      found.push({ hash, bytes });
    }
    return found;
  }
}

function entryIn(reader: Reader): EntryImage {
  try {
    return readEntry(reader);
  } catch (cause) {
    throw new RaftKVError("INVALID_ARGUMENT", "the entries of the backup cannot be read", {
      cause,
    });
  }
}

/** Entries by the groups that own them, as far as the directory knows. */
function parcelsOf(
  entries: readonly Placeable[],
  shards: readonly { readonly start: number; readonly end: number; readonly group: number }[],
): { list: Parcel[]; unowned: Placeable[] } {
  const byGroup = new Map<number, Placeable[]>();
  const unowned: Placeable[] = [];
  // Entries come nearly in the order of their hashes: the owner is mostly that of the one before.
  let owner: (typeof shards)[number] | undefined;
  for (const entry of entries) {
    const owns = ({ start, end }: { start: number; end: number }) =>
      start <= entry.hash && entry.hash < end;
    if (owner === undefined || !owns(owner)) owner = shards.find(owns);
    if (owner === undefined) {
      unowned.push(entry);
      continue;
    }
    const known = byGroup.get(owner.group);
    if (known === undefined) byGroup.set(owner.group, [entry]);
    else known.push(entry);
  }
  const list = [...byGroup].flatMap(([group, all]) =>
    cut(all).map((part) => ({ group, entries: part })),
  );
  return { list, unowned };
}

/** Entries in parts that fit a command each. */
function cut(entries: readonly Placeable[]): Placeable[][] {
  const parts: Placeable[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const { length } = entry.bytes;
    if (bytes + length > BACKUP_PIECE_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(entry);
    bytes += length;
  }
  return parts;
}

function add(
  total: { placed: number; equal: number; differing: number; example: string },
  reply: PlacedReply,
): void {
  total.placed += reply.placed;
  total.equal += reply.equal;
  if (reply.differing > 0 && total.differing === 0) total.example = describeKey(reply.example);
  total.differing += reply.differing;
}

/** Is it worth to be sent again? A shard that was merged away has its keys elsewhere. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof RaftKVError)) return false;
  return error.action === "retry" || error.code === "NO_SUCH_SHARD";
}

function notBound(keyspace: string): RaftKVError {
  const message =
    `there is no keyspace ${keyspace}, and no node's program has its code: start the program that ` +
    "calls openKeyspace with it, then restore again";
  return new RaftKVError("MODULE_NOT_BOUND", message, { keyspace });
}

function nobody(keyspace: string): RaftKVError {
  const message = `no shard of keyspace ${keyspace} takes entries at present; restore again later`;
  return new RaftKVError("NO_LEADER", message, { keyspace });
}
