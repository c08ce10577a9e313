/**
 * The steps of a range transfer, carried out at sender and receiver: `transfer.md` in code.
 *
 * Every function may be called again after a crash at any point, by this node or another: the
 * shards answer a repeated command with what it had led to. Between the hand-over and the opening
 * nothing is committed to the directory and no timer runs: keys wait.
 */
import type { TransferWorkflow } from "../directory/workflow.ts";
import { CATCH_UP_PASSES, CHANGES_LEFT_FEW, TRANSFER_CHUNK_BYTES } from "../limits.ts";
import { Refusal } from "../machine/machine.ts";
import type {
  Certificate,
  ChangesReply,
  ChunkReply,
  ShardCommand,
  ShardRead,
  ShardReadReply,
  ShardReply,
  StatusReply,
} from "../shard/requests.ts";
import { shardCommand, shardRead } from "../shard/requests.ts";

/** The two shards of a transfer can't go on with it: it has to be given up. */
export class CannotGoOn extends Error {
  /** The sender has ended the transfer as aborted. */
  readonly senderAborted: boolean;

  constructor(message: string, senderAborted = false) {
    super(message);
    this.senderAborted = senderAborted;
  }
}

/** What a transfer acts through. */
export interface TransferPorts {
  shardCommand(group: number, command: ShardCommand): Promise<ShardReply | Refusal>;
  shardRead(group: number, read: ShardRead): Promise<ShardReadReply | Refusal>;
  elapsed(): number;
}

/** One transfer, as far as this process knows it. What it knows is a shortcut, never needed. */
export class RangeTransfer {
  private readonly ports: TransferPorts;
  private readonly transfer: number;
  private readonly start: number;
  private readonly end: number;
  private readonly sender: number;
  private readonly receiver: number;
  /** Changes up to here have been installed; `null` when this process did not copy. */
  private watermark: number | null = null;
  /** How long keys waited, once the receiver has opened under this process's eyes. */
  pauseMs: number | null = null;

  constructor(ports: TransferPorts, workflow: TransferWorkflow) {
    const { transfer, start, end, sender, receiver } = workflow;
    if (receiver.group === null) throw new Error(`transfer ${transfer} has no receiver yet`);
    this.ports = ports;
    this.transfer = transfer;
    this.start = start;
    this.end = end;
    this.sender = sender.group;
    this.receiver = receiver.group;
  }

  /** The receiver expects the range, then the sender notes what changes in it. */
  async begin(): Promise<void> {
    const { transfer, start, end } = this;
    const range = { start, end };
    await this.ask(this.receiver, shardCommand.expect(transfer, range, this.sender), ["done"]);
    await this.ask(this.sender, shardCommand.begin(transfer, range, this.receiver), ["begun"]);
  }

  /** Copies the range in bounded chunks, then what changed meanwhile, until little is left. */
  async copy(): Promise<void> {
    this.watermark = null;
    const since = await this.changesSince();
    await this.copyChunks();
    this.watermark = since;
    await this.catchUp();
  }

  /** Hands over, brings the rest across, opens. */
  async handOver(): Promise<void> {
    await this.catchUpIfCopied();
    const from = this.ports.elapsed();
    const certificate = await this.giveUpRange();
    if (certificate === null) return;
    if (this.watermark === null) this.watermark = await this.changesSince();
    const opened = (await this.installRestAndOpen(certificate)) || (await this.open(certificate));
    if (!opened) {
      // The buffer lacks what was copied before; the sender still has all of it, frozen.
      await this.copyChunks();
      if (!(await this.installRestAndOpen(certificate)) && !(await this.open(certificate))) {
        throw new Error(`transfer ${this.transfer} can't open what was handed over`);
      }
    }
    this.pauseMs = this.ports.elapsed() - from;
  }

  /** The sender drops what it had frozen. */
  async finish(): Promise<void> {
    const reply = await this.ports.shardCommand(this.sender, shardCommand.finish(this.transfer));
    if (reply instanceof Refusal) throw new Error(reply.message);
  }

  /** The sender forgets the transfer; fails when that has handed over. */
  async abortSender(): Promise<void> {
    await this.abortAt(this.sender);
  }

  /** The receiver forgets the transfer; only after the sender did. */
  async abortReceiver(): Promise<void> {
    await this.abortAt(this.receiver);
  }

  private async abortAt(group: number): Promise<void> {
    const reply = await this.ports.shardCommand(group, shardCommand.abort(this.transfer));
    if (reply instanceof Refusal) throw new Error(reply.message);
    if (reply.type === "over" && reply.outcome === "completed") {
      throw new Error(`transfer ${this.transfer} is completed, it can't be given up`);
    }
  }

  /** Leaves less for the pause. When it can't, the hand-over itself gives the definite answer. */
  private async catchUpIfCopied(): Promise<void> {
    if (this.watermark === null) return;
    try {
      await this.catchUp();
    } catch (error) {
      if (!(error instanceof CannotGoOn)) throw error;
    }
  }

  /** The certificate; `null` when the whole transfer is over already. */
  private async giveUpRange(): Promise<Certificate | null> {
    const { sender, transfer } = this;
    const reply = await this.ports.shardCommand(sender, shardCommand.handOver(transfer));
    if (reply instanceof Refusal) throw new Error(reply.message);
    if (reply.type === "handedOver") return reply.certificate;
    if (reply.type === "over" && reply.outcome === "completed") return null;
    if (reply.type === "over" && reply.outcome === "aborted") {
      throw new CannotGoOn(`the sender gave transfer ${transfer} up`, true);
    }
    throw new Error(`transfer ${transfer} can't be handed over: ${reply.type}`);
  }

  /** Whether the receiver serves the range now; `false` when its buffer is not what was frozen. */
  private async open(certificate: Certificate): Promise<boolean> {
    const { receiver, transfer } = this;
    const reply = await this.ports.shardCommand(receiver, shardCommand.open(transfer, certificate));
    if (reply instanceof Refusal) {
      if (reply.code === "REJECTED") return false;
      throw new Error(reply.message);
    }
    if (reply.type === "over" && reply.outcome === "aborted") {
      throw new Error(`transfer ${transfer} was handed over, but its receiver gave it up`);
    }
    return true;
  }

  private async changesSince(): Promise<number> {
    const { status } = await this.read<StatusReply>(this.sender, shardRead.status(), "status");
    const runs = status.type === "copying" || status.type === "handedOver";
    if (!runs || status.transfer !== this.transfer || status.since === undefined) {
      throw new CannotGoOn(`the sender is ${status.type}, not in transfer ${this.transfer}`);
    }
    return status.since;
  }

  private async copyChunks(): Promise<void> {
    let cursor: number | null = this.start;
    while (cursor !== null) {
      const read = shardRead.chunk(this.transfer, cursor, TRANSFER_CHUNK_BYTES);
      const chunk: ChunkReply = await this.read<ChunkReply>(this.sender, read, "chunk");
      if (chunk.count > 0) await this.install(chunk.entries);
      cursor = chunk.cursor;
    }
  }

  /** Each pass brings across what had changed when it began, so that less is left for the next. */
  private async catchUp(): Promise<void> {
    for (let pass = 0; pass < CATCH_UP_PASSES; pass++) {
      let changes = await this.installChanges();
      let ahead = changes.left;
      if (ahead <= CHANGES_LEFT_FEW) return;
      while (ahead > 0 && changes.left > 0) {
        changes = await this.installChanges();
        ahead -= Math.max(1, changes.count);
      }
    }
  }

  /**
   * Sends the last changes and the opening at once, so that both can share one log entry: keys
   * wait. Should they arrive the other way round the opening is refused, and can be repeated.
   */
  private async installRestAndOpen(certificate: Certificate): Promise<boolean> {
    for (;;) {
      const changes = await this.readChanges();
      const installed = changes.count > 0 ? this.install(changes.entries) : Promise.resolve();
      const isLast = changes.left === 0;
      const [opened] = await Promise.all([isLast && this.open(certificate), installed]);
      this.watermark = changes.watermark;
      if (isLast) return opened;
    }
  }

  private readChanges(): Promise<ChangesReply> {
    const read = shardRead.changes(this.transfer, this.watermark ?? 0, TRANSFER_CHUNK_BYTES);
    return this.read<ChangesReply>(this.sender, read, "changes");
  }

  private async installChanges(): Promise<ChangesReply> {
    const changes = await this.readChanges();
    if (changes.count > 0) await this.install(changes.entries);
    this.watermark = changes.watermark;
    return changes;
  }

  private async install(entries: Uint8Array): Promise<void> {
    const command = shardCommand.install(this.transfer, entries);
    await this.ask(this.receiver, command, ["installed"]);
  }

  /** Sends a command that must take effect; "over" and "rejected" mean that it never will. */
  private async ask(
    group: number,
    command: ShardCommand,
    expected: readonly ShardReply["type"][],
  ): Promise<void> {
    const reply = await this.ports.shardCommand(group, command);
    if (reply instanceof Refusal) {
      if (reply.code === "REJECTED") throw new CannotGoOn(reply.message);
      throw new Error(reply.message);
    }
    if (reply.type === "over" && reply.outcome === "completed") return;
    if (!expected.includes(reply.type)) {
      throw new CannotGoOn(`${command.type} of transfer ${this.transfer}: ${reply.type}`);
    }
  }

  private async read<R extends ShardReadReply>(
    group: number,
    read: ShardRead,
    type: R["type"],
  ): Promise<R> {
    const reply = await this.ports.shardRead(group, read);
    if (reply instanceof Refusal) {
      if (reply.code === "REJECTED") throw new CannotGoOn(reply.message);
      throw new Error(reply.message);
    }
    if (reply.type !== type) throw new Error(`${read.type} was answered with ${reply.type}`);
    return reply as R;
  }
}
