/** What a keyspace's band is made of: its shards, or neighbours together where they are many. Pure. */
import { DASHBOARD_CELLS_MAX } from "../../limits.ts";
import type { KeyspaceOfView, Sample, ShardOfView } from "../types.ts";
import { cellsOf } from "./cells.ts";
import { of, share, short } from "./format.ts";
import type { Metric } from "./model.ts";

/** A piece of the band. */
export interface Piece {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  /** The shard's name; empty for several. */
  readonly name: string;
  /** `null`: not counted yet. */
  readonly value: number | null;
  /** Is it in a split or merge? */
  readonly moves: boolean;
  /** What is known of it, in a line. */
  readonly title: string;
}

/** The pieces, in order of hash values; together they are the whole range. */
export function piecesOf(keyspace: KeyspaceOfView, sample: Sample, metric: Metric): Piece[] {
  const { name, shards, count } = keyspace;
  if (count <= DASHBOARD_CELLS_MAX) return shards.map((shard) => pieceOf(shard, metric));
  return cellsOf(sample, name).map((cell) => {
    const { start, end, load, keys } = cell;
    const title = `several shards, ${share(start, end)} of the hash range, ${figures(keys, load)}`;
    return { key: `${start}`, start, end, name: "", value: cell[metric], moves: false, title };
  });
}

function pieceOf(shard: ShardOfView, metric: Metric): Piece {
  const { name, start, end, keys, load, doing } = shard;
  const moves = doing === null ? "" : `, ${doing}`;
  const title = `${name}: ${share(start, end)} of the hash range, ${figures(keys, load)}${moves}`;
  return { key: name, start, end, name, value: shard[metric], moves: doing !== null, title };
}

function figures(keys: number | null, load: number | null): string {
  if (keys === null || load === null) return "not counted yet";
  return `${of(keys, "key")}, load ${short(load)}`;
}
