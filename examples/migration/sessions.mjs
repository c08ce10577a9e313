// Sessions of users, first in a Map, then in raft-kv: three stores with one shape, so that the rest of
// the program does not change but for its `await`s.
//
// 1. `mapSessions`: where the program comes from.
// 2. `doubleSessions`: writes go to both, reads still come from the Map. Deployed first.
// 3. `copySessions`: what the Map holds from before goes over, without overwriting what is newer.
// 4. `raftSessions`: reads come from raft-kv too. The Map is gone, and with it the loss at a restart.

/**
 * @typedef {{ user: string, seen: number }} Session
 * @typedef {{ get(id: string): Promise<Session | undefined>,
 *   set(id: string, session: Session): Promise<void>,
 *   delete(id: string): Promise<void> }} Sessions
 */

/** @type {import("raft-kv").ValuePerKey<Session, string, { set: Session } | { copy: Session } | "delete", boolean, "get", Session>} */
export const sessionModule = {
  command(previous, _size, _id, arg) {
    if (arg === "delete") return [previous !== undefined, 1, undefined, 0];
    if ("set" in arg) return [true, 1, arg.set, 1];
    // A copy of what the Map held must not undo what was written since.
    const older = previous !== undefined && previous.seen >= arg.copy.seen;
    return older ? [false, 1, previous, 1] : [true, 1, arg.copy, 1];
  },
  query: (session) => [session, 1],
};

/** @typedef {import("raft-kv").Keyspace<string, { set: Session } | { copy: Session } | "delete", boolean, "get", Session>} SessionKeyspace */

/** @param {Map<string, Session>} map @returns {Sessions} */
export function mapSessions(map) {
  return {
    get: async (id) => map.get(id),
    set: async (id, session) => void map.set(id, session),
    delete: async (id) => void map.delete(id),
  };
}

/** @param {SessionKeyspace} keyspace @returns {Sessions} */
export function raftSessions(keyspace) {
  return {
    get: (id) => keyspace.query(id, "get"),
    set: async (id, session) => void (await keyspace.command(id, { set: session })),
    delete: async (id) => void (await keyspace.command(id, "delete")),
  };
}

/** @param {Sessions} from @param {Sessions} to @returns {Sessions} */
export function doubleSessions(from, to) {
  return {
    get: (id) => from.get(id),
    async set(id, session) {
      await to.set(id, session);
      await from.set(id, session);
    },
    async delete(id) {
      await to.delete(id);
      await from.delete(id);
    },
  };
}

/**
 * Copies what is there from before; returns how many were. A session that was deleted after this
 * began must be deleted in the Map last (as `doubleSessions` does), so it is looked at once more.
 * @param {Map<string, Session>} map @param {SessionKeyspace} keyspace
 */
export async function copySessions(map, keyspace) {
  let copied = 0;
  for (const [id, session] of [...map]) {
    if (await keyspace.command(id, { copy: session })) copied += 1;
    if (!map.has(id)) await keyspace.command(id, "delete");
  }
  return copied;
}
