/** A node under chaos: wrapped into what the run has for it, with its signals sent to itself. */
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ProcessNode, type ProcessOptions } from "../../process/support/cluster.ts";
import { type Running, startCommand } from "../../process/support/programs.ts";
import { shiftedBy } from "./clock.ts";

const PROGRAM = fileURLToPath(new URL("../programs/chaos-node.mjs", import.meta.url));
/** How much of what a node wrote to its standard error output is shown. */
const SHOWN_CHARACTERS = 2_000;

/** What a node lives in. */
export interface Habitat {
  readonly address: string;
  readonly directory: string;
  /** The file that its clients write down what they did in. */
  readonly history: string;
  /** The file for its log lines. */
  readonly log: string;
  /** The command that it is started by, if it is not started as it is. */
  readonly wrapper: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** See the head of this file. */
export class ChaosNode extends ProcessNode {
  readonly index: number;
  /** Seconds by which the next process's monotonic clock is ahead. */
  clockShift = 0;
  /** What went wrong in it that nobody did on purpose. */
  readonly faults: string[] = [];
  private readonly habitat: Habitat;
  private pid: number | undefined;

  constructor(index: number, zone: string, habitat: Habitat, options: ProcessOptions) {
    super(habitat.address, zone, options, habitat.directory);
    this.index = index;
    this.habitat = habitat;
  }

  /** The process, once it has said so. */
  override get processId(): number | undefined {
    return this.pid;
  }

  protected override launch(options: string): Running {
    const { history, wrapper, environment } = this.habitat;
    const own = JSON.stringify({ history, clockShift: this.clockShift });
    const program = [process.execPath, PROGRAM, options, own];
    const [command, ...args] = [...wrapper, ...shiftedBy(this.clockShift), ...program];
    const spoken = { ...environment, RAFT_KV_TEST_LOG: "1" };
    const running = startCommand(command as string, args, spoken);
    running.process.stderr?.on("data", (text: string) => appendFileSync(this.habitat.log, text));
    this.pid = undefined;
    running.onLine((line) => {
      if (line.startsWith("started ")) this.pid = Number(line.split(" ")[1]);
      if (line.startsWith("divergence ")) this.faults.push(line);
    });
    void running.ended.then(({ code, signal, errors }) => {
      if (this.running !== running) return;
      const text = errors.slice(-SHOWN_CHARACTERS);
      this.faults.push(`node ${this.index} ended by itself: ${code ?? signal}: ${text}`);
    });
    return running;
  }

  override signal(signal: NodeJS.Signals): void {
    if (this.running === undefined) return;
    if (this.pid === undefined) this.running.process.kill(signal);
    else process.kill(this.pid, signal);
  }

  override async kill(): Promise<void> {
    const { running, pid } = this;
    this.running = undefined;
    if (running === undefined) return;
    if (pid === undefined) running.process.kill("SIGKILL");
    else process.kill(pid, "SIGKILL");
    await running.ended;
  }
}
