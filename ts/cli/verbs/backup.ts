/** `raft-kv backup DIR`, `raft-kv restore DIR` */
import { readDescription, verifyBackup } from "../../backup/reader.ts";
import { restoreBackup } from "../../backup/restore.ts";
import { saveBackup } from "../../backup/save.ts";
import type {
  BackupKeyspace,
  BackupProgress,
  BackupView,
  OnProgress,
  RestoredKeyspace,
} from "../../backup/types.ts";
import { ProgressBar } from "../progress.ts";
import { RemoteCluster } from "../remote.ts";
import type { Column, Screen } from "../screen.ts";
import { bytes, count, of } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const KEYSPACES = { type: "string", help: "A,B: only these (all)" } as const;

const SAVED: readonly Column<BackupKeyspace>[] = [
  { title: "KEYSPACE", value: ({ name }) => name },
  { title: "KEYS", right: true, value: ({ keys }) => count(keys) },
  { title: "SHARDS", right: true, value: ({ ranges }) => count(ranges.length) },
  { title: "SIZE", right: true, value: (keyspace) => bytes(keyspace.bytes) },
  { title: "FILE", value: ({ file }) => file },
];

const RESTORED: readonly Column<RestoredKeyspace>[] = [
  { title: "KEYSPACE", value: ({ name }) => name },
  { title: "KEYS", right: true, value: ({ keys }) => count(keys) },
  { title: "PLACED", right: true, value: ({ placed }) => count(placed) },
  { title: "OF THESE OVERWRITTEN", right: true, value: ({ overwritten }) => count(overwritten) },
  { title: "EQUAL BEFORE", right: true, value: ({ equal }) => count(equal) },
];

export const backup: Verb = {
  name: "backup",
  parameters: "DIR",
  summary: "write a backup, or check one with --status",
  details:
    "Writes all keyspaces into a new directory of this machine while the cluster serves. Each " +
    "shard is there as it was at one moment, with all that was acknowledged before the backup " +
    "began; different shards are there at different moments. Groups that programs added are not " +
    "in it. The directory gets its name once everything is in it.\n\n" +
    "With --status nothing is written and no cluster is asked: every byte of the backup in DIR " +
    "is checked, and what it holds is shown.",
  options: {
    keyspaces: KEYSPACES,
    status: { type: "boolean", help: "check and describe the backup that is there" },
  },
  async run({ server, screen, json, given, options }) {
    const directory = given[0] as string;
    const onProgress = shownBy(new ProgressBar(screen, json));
    const keyspaces = namesOf(options.keyspaces);
    const view =
      options.status === true
        ? await verifyBackup(directory, { onProgress })
        : await saveBackup(new RemoteCluster(server), directory, { keyspaces, onProgress });
    if (json) screen.json(view);
    else show(screen, directory, view, options.status === true);
    return EXIT.good;
  },
};

export const restore: Verb = {
  name: "restore",
  parameters: "DIR",
  summary: "put the keys of a backup into the cluster",
  details:
    "The cluster may have other nodes and other shards than the one that the backup is of. All " +
    "of the backup is checked before anything is placed. The program with the keyspaces' code " +
    "has to run. Keys that have the same value already count as restored, so a restore that was " +
    "interrupted can be run again; a key that has another value ends it, unless --overwrite.",
  options: {
    keyspaces: KEYSPACES,
    overwrite: { type: "boolean", help: "give keys that differ the backup's value" },
  },
  async run({ server, screen, json, given, options, confirm }) {
    const directory = given[0] as string;
    const overwrite = options.overwrite === true;
    const { keys, finishedAt, clusterName } = await readDescription(directory);
    const how = overwrite ? "and overwrite those that differ" : "where they do not exist";
    await confirm(
      `Restore the backup of ${clusterName} of ${finishedAt} with ${of(keys, "key")} through ` +
        `${server.address}, ${how}?`,
    );
    const onProgress = shownBy(new ProgressBar(screen, json));
    const keyspaces = namesOf(options.keyspaces);
    const { target } = new RemoteCluster(server);
    const view = await restoreBackup(directory, target, { keyspaces, overwrite, onProgress });
    if (json) screen.json(view);
    else screen.table(RESTORED, view.keyspaces, "the backup has no keyspaces");
    return EXIT.good;
  },
};

const STEPS: Readonly<Record<BackupProgress["step"], string>> = {
  save: "written",
  check: "checked",
  place: "restored",
};

function shownBy(bar: ProgressBar): OnProgress {
  return ({ step, keyspace, keys, done }) => {
    const percent = `${Math.floor(done * 100)}%`.padStart(4);
    bar.update(done, `${percent} ${keyspace}: ${of(keys, "key")} ${STEPS[step]}`);
  };
}

function show(screen: Screen, directory: string, view: BackupView, isChecked: boolean): void {
  screen.table(SAVED, view.keyspaces, "no keyspaces");
  const what = isChecked ? "whole" : "written";
  screen.line(
    `${directory} is ${screen.paint(what, "green")}: ${of(view.keys, "key")}, ` +
      `${bytes(view.bytes)} of cluster ${view.clusterName}`,
  );
  screen.line(screen.paint(`begun ${view.startedAt}, ended ${view.finishedAt}`, "dim"));
}

function namesOf(option: string | boolean | undefined): readonly string[] | undefined {
  return typeof option === "string" ? option.split(",").filter((name) => name !== "") : undefined;
}
