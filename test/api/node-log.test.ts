/** What a program's logger is given, whatever its kind. */
import { Writable } from "node:stream";
import pino from "pino";
import { expect, test } from "vitest";
import { named } from "../../ts/api/engine-names.ts";
import { type Logger, NodeLog } from "../../ts/api/node-log.ts";
import { readEngineLine } from "../../ts/host/log-line.ts";

const FIELDS = {
  component: "engine",
  group: "kv_0",
  text: 'a "b" c',
  voters: ["x", "y"],
  count: 3,
};
const TEXT = 'engine: said group=kv_0 text="a \\"b\\" c" voters=x,y count=3';

function collecting(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const take = (level: string) => (message: string) => lines.push(`${level} ${message}`);
  const logger = {
    ...{ debug: take("debug"), info: take("info") },
    ...{ warn: take("warn"), error: take("error") },
  };
  return { logger, lines };
}

test("a logger like console is given one text", () => {
  const { logger, lines } = collecting();
  new NodeLog(logger, "info").write("info", "said", FIELDS);
  expect(lines).toEqual([`info ${TEXT}`]);
});

test("pino is given the fields by themselves", () => {
  const lines: Record<string, unknown>[] = [];
  const write = (chunk: Buffer, _encoding: string, done: () => void) => {
    lines.push(JSON.parse(String(chunk)));
    done();
  };
  const logger = pino({}, new Writable({ write })).child({ service: "shop" });
  const log = new NodeLog(logger, "info");
  log.write("warn", "said", FIELDS);
  log.write("error", "plain");
  expect(lines).toEqual([
    expect.objectContaining({ level: 40, msg: "said", service: "shop", ...FIELDS }),
    expect.objectContaining({ level: 50, msg: "plain", service: "shop" }),
  ]);
});

test("lines below the level are dropped, for the program and for dumps", () => {
  const { logger, lines } = collecting();
  const log = new NodeLog(logger, "warn");
  for (const level of ["debug", "info", "warn", "error"] as const) log.write(level, level);
  expect(lines).toEqual(["warn warn", "error error"]);
  expect(log.recent.lines.map((line) => line.message)).toEqual(["warn", "error"]);
});

test("a logger that throws disturbs nobody, and is told of in a dump", () => {
  const fail = () => {
    throw new Error("disk full");
  };
  const log = new NodeLog({ debug: fail, info: fail, warn: fail, error: fail }, "info");
  log.write("info", "said");
  const kept = log.recent.lines.map((line) => line.message);
  expect(kept).toEqual(["said", "the program's logger threw: Error: disk full"]);
});

test("a line of the engine has the names that the program knows", () => {
  const { message, fields } = readEngineLine(
    '{"target":"raft_kv_engine::elections","message":"won","group":7,"votes_for":0,"to":9,"voters":"{1, 22}","ms":3}',
  );
  expect(message).toBe("won");
  const names = { group: (id: number) => `group ${id}`, node: (id: number) => `node-${id}` };
  expect(named(fields, names)).toEqual({
    ...{ component: "engine", group: "group 7", votesFor: "none", to: "node-9" },
    ...{ voters: ["node-1", "node-22"], ms: 3 },
  });
});

test("a line that cannot be read is its own message", () => {
  expect(readEngineLine("{no")).toEqual({ message: "{no", fields: {} });
});
