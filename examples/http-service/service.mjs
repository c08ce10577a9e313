// One process of the service: `node service.mjs ZONE RAFT_ADDRESS HTTP_PORT SEED,SEED,SEED DATA_DIRECTORY`.
// Any process answers any request; which of them leads a counter's shard is not its concern.
import Fastify from "fastify";
import { createNode, RaftKVError } from "raft-kv";

const [zone = "zone", listen, port = "0", seeds = "", dataDir] = process.argv.slice(2);

/** @type {import("raft-kv").ValuePerKey<number, string, number, number, "get", number>} */
const counter = {
  command: (count = 0, _size, _name, by) => [count + by, 1, count + by, 1],
  query: (count) => [count, 1],
};

const node = createNode({ listen, seeds: seeds.split(","), dataDir });
await node.fleet.activate(zone);
await node.kv.init();
const policy = { maxShards: 64, maxKeysPerShard: 10_000 };
const counters = await node.kv.openKeyspace("counters", counter, null, policy);

/** What an error means to a client of ours. */
const STATUS = { retry: 503, fix: 400, reopen: 503, report: 500 };

const server = Fastify();
server.setErrorHandler((error, _request, reply) => {
  if (!(error instanceof RaftKVError)) return reply.send(error);
  const { code, outcome, message } = error;
  return reply.status(STATUS[error.action]).send({ code, outcome, message });
});
server.get("/counters/:name", async ({ params }) => {
  const { name } = /** @type {{ name: string }} */ (params);
  return { name, count: (await counters.query(name, "get")) ?? 0 };
});
// For whoever restarts processes one by one: nothing would stop if this one did now.
server.get("/safe-to-stop", async (_request, reply) => {
  const { safe, reasons } = await node.fleet.admin.safeToStop(await node.fleet.nodeName());
  return reply.status(safe ? 200 : 503).send({ safe, reasons });
});
server.post("/counters/:name/increment", async ({ params }) => {
  const { name } = /** @type {{ name: string }} */ (params);
  return { name, count: await counters.command(name, 1) };
});

const address = await server.listen({ host: "127.0.0.1", port: Number(port) });
console.log(`listening at ${address}`);

process.once("SIGTERM", async () => {
  await server.close(); // no new requests, those under way are answered
  await node.close(); // the other processes take over; the directory stays for the next start
});
