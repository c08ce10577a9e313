/**
 * Carries out the directory's workflows while this node leads it: several side by side, each step
 * committed before the next begins, failed steps again after a pause that grows.
 *
 * It reacts to changes of the directory (`wake`): a report that makes a shard a candidate is
 * followed by a plan at once, and so is the end of a workflow or of a shard's ineligible period.
 * The interval of the options is a safety net and not the pace. It holds no state that matters:
 * after a crash the directory says how to go on.
 */
import { nextStartAt } from "../directory/plan.ts";
import type { Workflow } from "../directory/workflow.ts";
import {
  COPY_ATTEMPTS,
  HAND_OVER_RETRY_MS_MAX,
  PLAN_PAUSE_MS,
  STEP_RETRY_MS_MAX,
  STEP_RETRY_MS_MIN,
} from "../limits.ts";
import { TransferPauses } from "./pauses.ts";
import { type Cancel, stoppable, type WorkflowPorts } from "./ports.ts";
import { WorkflowSteps } from "./steps.ts";
import { CannotGoOn } from "./transfer.ts";

/** Timing, milliseconds; `api.md` has the defaults. */
export interface ExecutorOptions {
  readonly workflowExecutionInterval: number;
  readonly workflowLockPeriod: number;
  readonly shardIneligiblePeriodAfterSplitOrMerge: number;
}

/** One workflow that this executor is at. */
interface Task {
  readonly steps: WorkflowSteps;
  /** Was it claimed for this time of leadership? If it is lost after that, a newer leader has it. */
  claimed: boolean;
  attempts: number;
  cancelTimer: Cancel;
}

const NOTHING_TO_CANCEL: Cancel = () => undefined;

/** The executor of one time of leadership; a new one is made for the next. */
export class WorkflowExecutor {
  /** How long keys waited in the transfers that were carried out here. */
  readonly pauses: TransferPauses;
  private readonly ports: WorkflowPorts;
  private readonly options: ExecutorOptions;
  private readonly tasks = new Map<number, Task>();
  private running = false;
  private planning = false;
  private lastPlanAt = Number.NEGATIVE_INFINITY;
  private cancelPlan: Cancel = NOTHING_TO_CANCEL;
  private cancelTick: Cancel = NOTHING_TO_CANCEL;

  constructor(ports: WorkflowPorts, options: ExecutorOptions, pauses = new TransferPauses()) {
    this.ports = ports;
    this.options = options;
    this.pauses = pauses;
  }

  /** Begins: this node leads the directory and has applied all that earlier leaders committed. */
  start(): void {
    if (this.running) return;
    this.running = true;
    this.tick();
  }

  /** To be called whenever the directory's state has changed. */
  wake(): void {
    if (!this.running) return;
    for (const workflow of this.ports.directory().workflows.values()) {
      if (this.tasks.has(workflow.id)) continue;
      this.begin(workflow.id);
    }
    this.planWhenDue();
  }

  /** Ends at once: no timer is left, and calls that are under way lead to nothing more. */
  stop(): void {
    this.running = false;
    this.cancelPlan();
    this.cancelTick();
    for (const task of this.tasks.values()) task.cancelTimer();
    this.tasks.clear();
  }

  private tick(): void {
    this.wake();
    const known = [...this.ports.directory().keyspaces.values()].flatMap((k) => k.shards);
    this.pauses.retain(new Set(known.map((shard) => shard.name)));
    const { workflowExecutionInterval } = this.options;
    this.cancelTick = this.ports.schedule(workflowExecutionInterval, () => this.tick());
  }

  // Planning

  private planWhenDue(): void {
    if (this.planning) return;
    this.cancelPlan();
    this.cancelPlan = NOTHING_TO_CANCEL;
    const period = this.options.shardIneligiblePeriodAfterSplitOrMerge;
    const startAt = nextStartAt(this.ports.directory(), period);
    if (startAt === null) return;
    // A pause between plans, so that a plan that starts nothing can't turn into a busy loop.
    const pause = this.lastPlanAt + PLAN_PAUSE_MS - this.ports.elapsed();
    const delay = Math.max(Math.min(startAt - this.ports.now(), period + 1), pause);
    if (delay <= 0) void this.plan();
    else this.cancelPlan = this.ports.schedule(Math.ceil(delay), () => this.planWhenDue());
  }

  private async plan(): Promise<void> {
    this.planning = true;
    this.lastPlanAt = this.ports.elapsed();
    const ineligiblePeriod = this.options.shardIneligiblePeriodAfterSplitOrMerge;
    try {
      await this.ports.command({ type: "plan", ineligiblePeriod, ...this.ownership() });
    } catch {
      // Without a leader or a majority nothing can be planned; the next tick tries again.
    }
    this.planning = false;
    this.wake();
  }

  private ownership() {
    const { node } = this.ports;
    return { node, now: this.ports.now(), lockPeriod: this.options.workflowLockPeriod };
  }

  // One workflow

  private begin(id: number): void {
    const goesOn = () => this.isCurrent(id, task) && this.ports.directory().workflows.has(id);
    const steps = new WorkflowSteps(stoppable(this.ports, goesOn));
    const task: Task = {
      steps,
      claimed: false,
      attempts: 0,
      cancelTimer: NOTHING_TO_CANCEL,
    };
    this.tasks.set(id, task);
    void this.proceed(id);
  }

  /** Goes on with a workflow until it is over, or has to wait. */
  private async proceed(id: number): Promise<void> {
    const task = this.tasks.get(id);
    if (!task) return;
    let failed: Workflow | null = null;
    try {
      let workflow = await this.own(id, task);
      while (workflow !== null && this.isCurrent(id, task)) {
        failed = workflow;
        workflow = await this.step(workflow, task);
        task.attempts = 0;
      }
      if (workflow === null && this.isCurrent(id, task)) this.forget(id);
    } catch (error) {
      this.retryLater(id, task, failed, error);
    }
  }

  private isCurrent(id: number, task: Task): boolean {
    return this.running && this.tasks.get(id) === task;
  }

  private forget(id: number): void {
    // Gone from the directory's state as well, or else the next change finds it again.
    this.tasks.delete(id);
    this.planWhenDue();
  }

  /** The workflow, once this node has it to itself; `null` when it is over or another's. */
  private async own(id: number, task: Task): Promise<Workflow | null> {
    const workflow = this.ports.directory().workflows.get(id) ?? null;
    if (workflow === null) return null;
    const now = this.ports.now();
    const half = this.options.workflowLockPeriod / 2;
    if (workflow.owner === this.ports.node && workflow.leaseUntil - now > half) return workflow;
    const leads = !task.claimed;
    const command = { type: "claim", workflow: id, leads, ...this.ownership() } as const;
    const reply = await this.ports.command(command);
    task.claimed = true;
    if (!("mine" in reply)) throw new Error("a claim was answered with something else");
    if (reply.workflow === null || reply.mine) return reply.workflow;
    const wait = Math.max(STEP_RETRY_MS_MIN, reply.workflow.leaseUntil - now);
    if (this.isCurrent(id, task)) this.later(id, task, wait);
    throw new Waiting();
  }

  /** Carries out the present step and commits that; what comes next, `null` at the end. */
  private async step(workflow: Workflow, task: Task): Promise<Workflow | null> {
    const { id, step } = workflow;
    let command: Parameters<WorkflowPorts["command"]>[0];
    try {
      const result = await task.steps.carryOut(workflow);
      command = { type: "advance", workflow: id, step, ...result, ...this.ownership() };
    } catch (error) {
      const reason = giveUpReason(workflow, task, error);
      if (reason === null) throw error;
      command = { type: "fail", workflow: id, step, ...reason, ...this.ownership() };
    }
    if (!this.isCurrent(id, task)) return null;
    const reply = await this.ports.command(command);
    if (!("workflow" in reply) || typeof reply.workflow === "number") {
      throw new Error("a finished step was answered with something else");
    }
    const next = reply.workflow;
    this.tell(workflow, task, command.type === "fail" ? command.reason : null);
    if (next?.step === step) throw new Error(`the directory stays at the step ${step}`);
    return next;
  }

  private tell(workflow: Workflow, task: Task, failure: string | null): void {
    const { kind, keyspace, step } = workflow;
    if (failure !== null) {
      const message = `${kind} ${workflow.id} was given up in step ${step}: ${failure}`;
      this.ports.emit({ type: "warning", keyspace, message });
      return;
    }
    if ((kind !== "split" && kind !== "merge") || step !== "publish") return;
    const { start, end } = workflow;
    const [sender, receiver] = [workflow.sender.name, workflow.receiver.name];
    const { pauseMs } = task.steps;
    if (pauseMs !== null) this.pauses.add(receiver, pauseMs);
    this.ports.emit({ type: kind, keyspace, sender, receiver, start, end, pauseMs });
  }

  private retryLater(id: number, task: Task, workflow: Workflow | null, error: unknown): void {
    if (error instanceof Waiting || !this.isCurrent(id, task)) return;
    task.attempts++;
    const keysWait = workflow?.step === "handOver";
    const most = keysWait ? HAND_OVER_RETRY_MS_MAX : STEP_RETRY_MS_MAX;
    const delay = Math.min(STEP_RETRY_MS_MIN * 2 ** Math.min(task.attempts - 1, 16), most);
    if (workflow !== null && task.attempts === COPY_ATTEMPTS) {
      const { kind, keyspace, step } = workflow;
      const message = `${kind} ${id} is stuck in step ${step}: ${messageOf(error)}`;
      this.ports.emit({ type: "warning", keyspace, message });
    }
    this.later(id, task, delay);
  }

  private later(id: number, task: Task, delay: number): void {
    task.cancelTimer = this.ports.schedule(delay, () => void this.proceed(id));
  }
}

/** Another node has the workflow; a timer is set. */
class Waiting extends Error {}

/** Why the workflow must be given up, `null` when its step is to be tried again. */
function giveUpReason(
  workflow: Workflow,
  task: Task,
  error: unknown,
): { reason: string; senderAborted?: boolean } | null {
  if (error instanceof CannotGoOn) {
    if (error.senderAborted) return { reason: error.message, senderAborted: true };
    return workflow.step === "handOver" ? null : { reason: error.message };
  }
  const copies = workflow.step === "begin" || workflow.step === "copy";
  if (!copies || task.attempts + 1 < COPY_ATTEMPTS) return null;
  return { reason: `${COPY_ATTEMPTS} attempts failed, the last one: ${messageOf(error)}` };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
