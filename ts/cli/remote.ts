/** A cluster that backups are made of and restored into, through the admin server of a node. */
import type {
  BackupSource,
  ClusterDescription,
  EntriesPiece,
  KeyspaceDescription,
  OpenedRange,
  PlacedEntries,
  RestoreTarget,
} from "../backup/ports.ts";
import { ERROR_CODES, type ErrorAction, type ErrorCode, RaftKVError } from "../errors.ts";
import { CallFailed, type Connection } from "./connection.ts";

/** See the head of this file. */
export class RemoteCluster implements BackupSource {
  private readonly server: Connection;

  constructor(server: Connection) {
    this.server = server;
  }

  describe(): Promise<ClusterDescription> {
    return this.call("backup/describe", {});
  }

  open(keyspace: string, from: number): Promise<OpenedRange> {
    return this.call("backup/open", { keyspace, from });
  }

  async next(reading: string): Promise<EntriesPiece | null> {
    const { piece } = await this.call<{
      readonly piece: { readonly count: number; readonly entries: string } | null;
    }>("backup/next", { reading });
    if (piece === null) return null;
    return { count: piece.count, entries: new Uint8Array(Buffer.from(piece.entries, "base64")) };
  }

  async close(reading: string): Promise<void> {
    await this.call("backup/close", { reading });
  }

  /** What a restore goes into. */
  get target(): RestoreTarget {
    return {
      begin: async (keyspaces: readonly KeyspaceDescription[]) => {
        await this.call("restore/begin", { keyspaces });
      },
      place: (keyspace: string, bytes: Uint8Array, overwrite: boolean) => {
        const entries = Buffer.from(bytes).toString("base64");
        return this.call<PlacedEntries>("restore/place", { keyspace, entries, overwrite });
      },
    };
  }

  private async call<T>(verb: string, given: Readonly<Record<string, unknown>>): Promise<T> {
    try {
      return await this.server.call<T>(verb, given);
    } catch (error) {
      throw error instanceof CallFailed ? typed(error) : error;
    }
  }
}

/** The same error as the node would throw it; what came in the way of asking counts as failed. */
function typed({ code, message, action }: CallFailed): RaftKVError {
  const isKnown = (ERROR_CODES as readonly string[]).includes(code);
  const known = isKnown ? (code as ErrorCode) : "BACKUP_FAILED";
  return new RaftKVError(known, message, { action: action as ErrorAction });
}
