import { describe, expect, test } from "vitest";
import {
  checkDataModule,
  checkGroupName,
  checkKeyspaceName,
  checkModule,
  checkZone,
} from "../../ts/api/checks.ts";
import type { ErrorCode } from "../../ts/errors.ts";
import { KEYSPACE_NAME_LENGTH_MAX, ZONE_NAME_LENGTH_MAX } from "../../ts/limits.ts";

function refused(code: ErrorCode, message: RegExp) {
  return expect.objectContaining({ code, message: expect.stringMatching(message) });
}

describe("names", () => {
  test("that are fit for a keyspace are taken", () => {
    for (const name of [
      "kv",
      "A.b-c_9",
      "x".repeat(KEYSPACE_NAME_LENGTH_MAX),
      "RaftKV",
      "raftkv.",
    ]) {
      expect(() => checkKeyspaceName(name)).not.toThrow();
    }
  });

  test.each<[unknown, RegExp]>([
    [undefined, /undefined/],
    [null, /null/],
    [3, /3/],
    [Symbol("kv"), /a symbol/],
    [["kv"], /an array/],
    ["", /""/],
    ["a b", /"a b".*letters/],
    ["a/b", /letters/],
    ["ä", /letters/],
    ["a\n", /letters/],
    ["x".repeat(KEYSPACE_NAME_LENGTH_MAX + 1), /at most 128/],
    ["RaftKV.Keyspaces", /kept for raft-kv/],
    ["RaftFleet.x", /kept for raft-kv/],
  ])("that are not are refused: %s", (name, message) => {
    expect(() => checkKeyspaceName(name)).toThrow(refused("INVALID_KEYSPACE_NAME", message));
  });

  test("of groups and zones are any readable text", () => {
    for (const name of ["g", "my group", "日本", "a/b:c"]) {
      expect(() => checkGroupName(name)).not.toThrow();
      expect(() => checkZone(name)).not.toThrow();
    }
  });

  test.each<[unknown]>([[undefined], [7], [""], ["a\nb"], ["a\0"], ["\ud800"], ["x".repeat(999)]])(
    "of no group or zone are refused: %o",
    (name) => {
      expect(() => checkGroupName(name)).toThrow(refused("INVALID_ARGUMENT", /group name/));
      expect(() => checkZone(name)).toThrow(refused("INVALID_ZONE", /zone/));
    },
  );

  test("of raft-kv's own groups are refused for a group, and mean nothing for a zone", () => {
    expect(() => checkGroupName("RaftFleet.Fleet")).toThrow(refused("INVALID_ARGUMENT", /kept/));
    expect(() => checkZone("RaftKV.zone")).not.toThrow();
    expect(() => checkZone("x".repeat(ZONE_NAME_LENGTH_MAX))).not.toThrow();
  });
});

describe("modules", () => {
  const command = () => ["ok", 1, undefined, 0] as const;
  const query = () => [1, 1] as const;
  const init = () => 0;
  class Module {
    command() {}
    query() {}
    init() {}
  }

  test("with their functions are taken, however they are made", () => {
    expect(() => checkModule({ command, query }, null)).not.toThrow();
    expect(() => checkModule(new Module(), undefined)).not.toThrow();
    expect(() =>
      checkModule(
        Object.assign(() => {}, { command, query }),
        null,
      ),
    ).not.toThrow();
    expect(() => checkModule({ command, query }, { onCommandCommitted() {} })).not.toThrow();
    expect(() => checkModule({ command, query }, { onQueryAnswered() {} })).not.toThrow();
    expect(() => checkDataModule({ init, command, query })).not.toThrow();
    expect(() => checkDataModule(new Module())).not.toThrow();
  });

  test.each<[unknown, unknown, RegExp]>([
    [undefined, null, /it is undefined/],
    [null, null, /it is null/],
    ["module", null, /it is a string/],
    [[command, query], null, /it is an array/],
    [{}, null, /command is missing/],
    [{ command }, null, /query is missing/],
    [{ command, query: 3 }, null, /query is a number/],
    [{ command: {}, query }, null, /command is a plain object/],
    [{ command, query }, 3, /LeaderHook.*it is a number/],
    [{ command, query }, {}, /onCommandCommitted, onQueryAnswered: it has neither/],
    [{ command, query }, { onCommandCommited() {} }, /has neither/],
    [{ command, query }, { onQueryAnswered: 1 }, /onQueryAnswered is a number/],
  ])("%o with the hook %o are refused", (module, hook, message) => {
    expect(() => checkModule(module, hook)).toThrow(refused("INVALID_MODULE", message));
  });

  test.each<[unknown, unknown, RegExp]>([
    [undefined, undefined, /DataModule.*it is undefined/],
    [{ command, query }, undefined, /init is missing/],
    [{ init, query }, undefined, /command is missing/],
    [{ init, command, query: null }, undefined, /query is null/],
    [{ init, command, query }, { onQueryAnswered: 1 }, /onQueryAnswered is a number/],
  ])("of a group, %o with the hook %o, are refused", (module, hook, message) => {
    expect(() => checkDataModule(module, hook)).toThrow(refused("INVALID_MODULE", message));
  });
});
