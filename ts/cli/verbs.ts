/** All verbs, by area, in the order in which `--help` lists them. */
import type { Verb } from "./verb.ts";
import { backup, restore } from "./verbs/backup.ts";
import { dashboard } from "./verbs/dashboard.ts";
import { command, get, keys, query } from "./verbs/data.ts";
import { demo } from "./verbs/demo.ts";
import { drain } from "./verbs/drain.ts";
import { groups } from "./verbs/groups.ts";
import { keyspaces } from "./verbs/keyspaces.ts";
import { nodes } from "./verbs/nodes.ts";
import { recover } from "./verbs/recover.ts";
import { safeToStop } from "./verbs/safe-to-stop.ts";
import { shards } from "./verbs/shards.ts";
import { status } from "./verbs/status.ts";
import { sysdump } from "./verbs/sysdump.ts";
import { top } from "./verbs/top.ts";
import { transferLeader } from "./verbs/transfer-leader.ts";
import { merge, split } from "./verbs/transfers.ts";
import { verify } from "./verbs/verify.ts";

/** See the head of this file. */
export const VERBS_BY_AREA: Readonly<Record<string, readonly Verb[]>> = {
  "See what is there": [status, nodes, groups, keyspaces, shards, top, dashboard],
  "Move things": [transferLeader, drain, safeToStop, split, merge],
  "Look at data": [keys, get, query, command],
  "Keep it safe": [backup, restore, recover],
  "Find out what is wrong": [verify, sysdump],
  "Get to know it": [demo],
};
