/**
 * A node that does what its standard input says, a JSON message on each line: `{ id, call, args }`
 * calls a function of the node's `fleet` or `kv`, or one of the program's own. Each answer is a line
 * `{ id, result }` or `{ id, error: { code, message, outcome } }`.
 */
import { createInterface } from "node:readline";

/** Writes to the standard error output, if the test that started the program wants to see it. */
export function loggerOf() {
  if (!process.env.RAFT_KV_TEST_LOG) return undefined;
  const levels = ["debug", "info", "warn", "error"];
  const write = (level) => (text) => console.error(new Date().toISOString(), level, text);
  return Object.fromEntries(levels.map((level) => [level, write(level)]));
}

/**
 * What the fleet and the engine know of each group; no program needs to know, a test does.
 * @param {any} node
 */
export function groupsOf(node) {
  const { fleet, engine, host } = node.fleet.lifecycle.core();
  return Promise.all(
    [...fleet.groups.values()].map(async (group) => {
      const { id, name, system, replicas, members, learners, leaving } = group;
      const status =
        host.replica(id) === undefined ? null : await engine.groupStatus(id).catch(() => null);
      const voters = status?.members.filter(({ voter }) => voter).map((member) => member.node);
      const isConfirmed = group.created && group.confirmed === group.version;
      const facts = { id, name, system, replicas, members, learners, leaving, isConfirmed };
      const { role, leader, term, lastIndex } = status ?? {};
      return { ...facts, role, leader, term, lastIndex, voters };
    }),
  );
}

/**
 * Answers the calls on standard input for as long as the process lives.
 * @param {any} node
 * @param {Record<string, (...args: any[]) => unknown>} own
 */
export function serve(node, own) {
  const answer = async ({ id, call, args }) => {
    try {
      const [owner, name] = call.split(".");
      const result = await (name === undefined ? own[owner](...args) : node[owner][name](...args));
      console.log(JSON.stringify({ id, result: result ?? null }));
    } catch (error) {
      const { code, message, outcome } = error;
      console.log(JSON.stringify({ id, error: { code, message, outcome } }));
    }
  };
  createInterface({ input: process.stdin }).on("line", (line) => void answer(JSON.parse(line)));
}
