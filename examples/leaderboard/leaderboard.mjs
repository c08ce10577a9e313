// A game's scores in one value: a command changes one entry of a Map that may hold a million.

/**
 * @typedef {{ scores: Map<string, number>, best: string[] }} Board `best`: the top ten, in order
 * @typedef {{ player: string, points: number }} Scored
 * @typedef {{ total: number, rank: number | null }} Standing `rank` from 1, `null` below the top ten
 */

const TOP = 10;

/** @type {import("raft-kv").ValuePerKey<Board, string, Scored, Standing, { top: number }, [string, number][]>} */
export const leaderboard = {
  command(board = { scores: new Map(), best: [] }, _size, _game, { player, points }) {
    // Before anything is changed: what throws must leave the value as it was.
    if (!(points >= 0)) throw new Error(`points never go down, but these are ${points}`);
    const { scores, best } = board;
    const total = (scores.get(player) ?? 0) + points;
    scores.set(player, total);
    // Only the top ten are kept in order, so a command does not cost more in a larger game.
    const others = best.filter((name) => name !== player);
    const before = others.findIndex((name) => /** @type {number} */ (scores.get(name)) < total);
    others.splice(before < 0 ? others.length : before, 0, player);
    board.best = others.slice(0, TOP);
    const place = board.best.indexOf(player);
    return [{ total, rank: place < 0 ? null : place + 1 }, 1, board, scores.size];
  },
  query: ({ scores, best }, _size, _game, { top }) => [
    best.slice(0, top).map((player) => [player, /** @type {number} */ (scores.get(player))]),
    1,
  ],
};

/**
 * Tells when somebody takes the lead. Hooks run on the shard's leader only, at least once: what they
 * do must bear to be done again.
 * @param {(game: string, player: string) => void} announce
 * @returns {import("raft-kv").LeaderHook<Board, string, Scored, Standing, { top: number }, [string, number][]>}
 */
export function announceLeaders(announce) {
  /** @type {Map<string, string>} */
  const known = new Map();
  return {
    onCommandCommitted(_before, _sizeBefore, game, _arg, _ret, after) {
      const leader = after?.best[0];
      if (leader === undefined || known.get(game) === leader) return;
      known.set(game, leader);
      announce(game, leader);
    },
  };
}
