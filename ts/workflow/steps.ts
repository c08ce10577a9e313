/**
 * Carries out one step of one workflow. Any step may be carried out again, by any node: what was
 * done before is found done.
 */
import type { KeyspaceEntry } from "../directory/state.ts";
import type {
  RegisterWorkflow,
  SplitWorkflow,
  TransferWorkflow,
  Workflow,
} from "../directory/workflow.ts";
import type { StepPorts } from "./ports.ts";
import { CannotGoOn, RangeTransfer } from "./transfer.ts";

/** What a finished step tells the directory. */
export interface StepResult {
  /** The group that `createGroup` made. */
  readonly group?: number;
}

/** The steps of one workflow, as far as they are carried out by this process. */
export class WorkflowSteps {
  private readonly ports: StepPorts;
  private transfer: RangeTransfer | null = null;

  constructor(ports: StepPorts) {
    this.ports = ports;
  }

  /** How long keys waited for the transfer's receiver; `null` when that was not seen here. */
  get pauseMs(): number | null {
    return this.transfer?.pauseMs ?? null;
  }

  /**
   * Carries the workflow's present step out. Rejects with `CannotGoOn` when the workflow has to be
   * given up, with anything else when the step is to be tried again.
   */
  async carryOut(workflow: Workflow): Promise<StepResult> {
    switch (workflow.step) {
      case "createGroup":
        return { group: await this.createGroup(workflow) };
      case "publish":
        await this.ports.publishRoutes(workflow.keyspace);
        return {};
      case "removeGroups":
        await this.ports.publishRoutes(workflow.keyspace);
        for (const group of workflow.groups) await this.ports.removeGroup(group);
        return {};
      case "removeGroup":
        await this.ports.removeGroup(workflow.sender);
        return {};
      case "abort":
        await this.abort(workflow);
        return {};
      default:
        await this.transferOf(workflow)[workflow.step]();
        return {};
    }
  }

  private transferOf(workflow: TransferWorkflow): RangeTransfer {
    this.transfer ??= new RangeTransfer(this.ports, workflow);
    return this.transfer;
  }

  private async createGroup(workflow: RegisterWorkflow | SplitWorkflow): Promise<number> {
    const keyspace = this.keyspaceOf(workflow);
    const role = workflow.kind === "register" ? "first" : "receiver";
    const reply = await this.ports.createGroup({ ...workflow.receiver, keyspace, role });
    if (reply.ok) return reply.group;
    // The name is still being freed, or no node runs the code yet: both pass.
    const passing = reply.code === "CLEANUP_ONGOING" || reply.code === "MODULE_NOT_BOUND";
    throw passing ? new Error(reply.message) : new CannotGoOn(reply.message);
  }

  private keyspaceOf(workflow: Workflow): KeyspaceEntry {
    const keyspace = this.ports.directory().keyspaces.get(workflow.keyspace);
    if (!keyspace) throw new Error(`keyspace ${workflow.keyspace} is gone`);
    return keyspace;
  }

  /** The sender first: once it has forgotten the transfer, no key can move any more. */
  private async abort(workflow: TransferWorkflow): Promise<void> {
    if (workflow.receiver.group !== null) await this.transferOf(workflow).abortSender();
    if (workflow.kind === "split") await this.ports.removeGroup(workflow.receiver);
    else await this.transferOf(workflow).abortReceiver();
  }
}
