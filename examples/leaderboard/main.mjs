// A hundred thousand scores of ten thousand players, and who led on the way.
import { createNode } from "raft-kv";
import { announceLeaders, leaderboard } from "./leaderboard.mjs";

const node = createNode({ dataDir: ":memory:" });
await node.fleet.activate("zone");
await node.kv.init();
/** @type {string[]} */
const leaders = [];
const hook = announceLeaders((_game, player) => leaders.push(player));
const games = await node.kv.openKeyspace("games", leaderboard, hook, { maxShards: 16 });

const ROUNDS = 100_000;
let state = 1;
for (let round = 0; round < ROUNDS; round += 1_000) {
  const scored = Array.from({ length: 1_000 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return games.command("chess", { player: `player-${state % 10_000}`, points: state % 7 });
  });
  await Promise.all(scored);
}
const { total, rank } = await games.command("chess", { player: "ada", points: 1_000 });
console.log(`ada has ${total} points and rank ${rank}`);
console.log("top three:", await games.query("chess", { top: 3 }));
console.log(`${leaders.length} times somebody took the lead, last ${leaders.at(-1)}`);
await node.close();
