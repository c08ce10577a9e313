/**
 * Snapshots of a shard: written in slices while commands go on, and read back.
 *
 * A snapshot is a sequence of pieces, each a format version and then records: one header, the
 * entries, parked commands and retry results of a hand-over, and an end record that counts the
 * entries. The header is taken when the writer is made, and so is the view that gives the entries.
 * Which entries are owned, frozen or buffered follows from the header's ranges.
 */
import { Reader, readValue, Writer, writeValue } from "../codec/index.ts";
import { RaftKVError } from "../errors.ts";
import { SNAPSHOT_PIECE_BYTES } from "../limits.ts";
import type { RetainedResult, SessionMark, SnapshotWriter } from "../machine/machine.ts";
import { type PackedRetainedResult, packRetained, unpackRetained } from "../machine/result.ts";
import { ChangeLog } from "./changes.ts";
import type { ShardEntry } from "./entry.ts";
import { readEntry, writeEntry } from "./entry-bytes.ts";
import type { ParkedCommand } from "./parking.ts";
import type { ShardState } from "./state.ts";
import { type EndedTransfer, type ShardStatus, type StatusImage, statusImage } from "./status.ts";
import { Tally } from "./tally.ts";
import { StateView } from "./view.ts";

const FORMAT = 1;
const RECORD = { header: 1, entry: 2, parked: 3, result: 4, end: 5 } as const;

interface Header {
  readonly start: number;
  readonly end: number;
  readonly clock: number;
  readonly keys: number;
  readonly size: number;
  readonly status: StatusImage;
  readonly ended: EndedTransfer | null;
  readonly parkingClosed: boolean;
  readonly marks: readonly SessionMark[];
}

/** The state but for its entries, parked commands and retry results. */
export function headerOf(state: ShardState): Header {
  const { start, end, clock, keys, size, status, ended, parking } = state;
  const marks = status.type === "handedOver" ? status.marks : [];
  const parkingClosed = parking.isClosed;
  return {
    start,
    end,
    clock,
    keys,
    size,
    status: statusImage(status),
    ended,
    parkingClosed,
    marks,
  };
}

/** Writes a snapshot, see the head of this file. */
export class ShardSnapshotWriter implements SnapshotWriter {
  private readonly view: StateView;
  private readonly parked: readonly ParkedCommand[];
  private readonly results: readonly RetainedResult[];
  /** What was written before its turn and does not fit the piece being written. */
  private readonly pieces: Uint8Array[] = [];
  private readonly writer = new Writer();
  private entries = 0;
  private others = 0;
  private ended = false;

  constructor(state: ShardState) {
    this.parked = state.parking.list();
    this.results = state.status.type === "handedOver" ? state.status.results : [];
    this.startPiece();
    this.writeRecord(RECORD.header, headerOf(state));
    this.view = new StateView(state, (entry) => this.writeEntry(entry));
  }

  next(bytes: number): Uint8Array | null {
    const ready = this.pieces.shift();
    if (ready !== undefined) return ready;
    if (this.ended) return null;
    const isFull = () => this.writer.length >= bytes || this.pieces.length > 0;
    while (!isFull()) {
      if (this.writeOther() || this.view.walk(isFull)) continue;
      this.writeRecord(RECORD.end, this.entries);
      this.close();
      break;
    }
    return this.pieces.shift() ?? this.takePiece();
  }

  close(): void {
    this.ended = true;
    this.view.close();
  }

  /** Writes the next parked command or retry result, if one is left. */
  private writeOther(): boolean {
    const at = this.others++;
    const parked = this.parked[at];
    if (parked !== undefined) {
      this.writeRecord(RECORD.parked, { ...parked });
      return true;
    }
    const result = this.results[at - this.parked.length];
    if (result === undefined) return false;
    this.writeRecord(RECORD.result, packRetained(result));
    return true;
  }

  private writeEntry(entry: ShardEntry): void {
    this.entries++;
    writeValue(this.writer, RECORD.entry);
    writeEntry(this.writer, entry);
    // What changes may come at any time, and no piece may grow by it.
    if (this.writer.length >= SNAPSHOT_PIECE_BYTES) this.pieces.push(this.takePiece());
  }

  private writeRecord(record: number, content: unknown): void {
    writeValue(this.writer, record);
    writeValue(this.writer, content);
  }

  private startPiece(): void {
    this.writer.reset();
    writeValue(this.writer, FORMAT);
  }

  private takePiece(): Uint8Array {
    const piece = this.writer.bytes.slice(0, this.writer.length);
    this.startPiece();
    return piece;
  }
}

/** Reads a snapshot into an empty state. */
export class ShardSnapshotReader {
  private readonly state: ShardState;
  private header: Header | null = null;
  private readonly results: RetainedResult[] = [];
  private entries = 0;
  private expected = -1;

  constructor(state: ShardState) {
    this.state = state;
  }

  /** Takes the next piece in. */
  read(piece: Uint8Array): void {
    const reader = new Reader(piece);
    const format = readValue(reader);
    if (format !== FORMAT) throw damaged(`it has format ${String(format)}, known is ${FORMAT}`);
    while (reader.at < piece.length) {
      const record = readValue(reader);
      if (record === RECORD.entry) {
        this.state.place(readEntry(reader));
        this.entries++;
      } else {
        this.readOther(record, readValue(reader));
      }
    }
  }

  /** Completes the state after the last piece. */
  finish(): void {
    const { state, header } = this;
    if (header === null || this.expected !== this.entries) {
      throw damaged(`it holds ${this.entries} of ${this.expected} entries`);
    }
    state.own(header.start, header.end);
    state.clock = header.clock;
    state.keys = header.keys;
    state.size = header.size;
    state.ended = header.ended;
    state.parking.setClosed(header.parkingClosed);
    state.become(statusOf(state, header, this.results));
  }

  private readOther(record: unknown, content: unknown): void {
    if (record === RECORD.header) this.header = content as Header;
    else if (record === RECORD.parked) this.state.parking.add(content as ParkedCommand);
    else if (record === RECORD.result)
      this.results.push(unpackRetained(content as PackedRetainedResult));
    else if (record === RECORD.end) this.expected = content as number;
    else throw damaged(`it holds a record of type ${String(record)}`);
  }
}

function statusOf(state: ShardState, header: Header, results: RetainedResult[]): ShardStatus {
  const {
    type,
    transfer = 0,
    start = 0,
    end = 0,
    peer = 0,
    since = 0,
    clock = 0,
    index = 0,
  } = header.status;
  const common = { transfer, start, end, tally: new Tally(header.status.tally) };
  switch (type) {
    case "uninitialised":
    case "serving":
      return { type };
    case "drained":
      return { type, transfer, to: peer };
    case "awaiting":
    case "extending": {
      const buffered = state.table.within(start, end);
      const tombstones = new Set(buffered.filter(({ value }) => value === undefined));
      return { type, ...common, from: peer, tombstones };
    }
    default: {
      const changes = changesOf(state.table.within(start, end), since);
      const sender = { ...common, to: peer, changes };
      if (type === "copying") return { type, ...sender };
      return { type, ...sender, clock, index, results, marks: header.marks };
    }
  }
}

/** The notes follow from the versions, so a snapshot need not hold them. */
function changesOf(entries: readonly ShardEntry[], since: number): ChangeLog {
  const changes = new ChangeLog(since);
  const changed = entries.filter(({ version }) => version > since);
  for (const entry of changed.sort((a, b) => a.version - b.version)) {
    changes.note(entry, since);
    if (entry.value === undefined) changes.tombstoneCount++;
  }
  return changes;
}

function damaged(message: string): RaftKVError {
  return new RaftKVError("DATA_CORRUPTED", `a shard's snapshot cannot be read: ${message}`);
}
