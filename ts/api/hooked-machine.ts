/** The machine of a user's consensus group, with side effects on the node that leads it. */
import { DataMachine } from "../machine/data-machine.ts";
import type { DataHook, DataModule } from "../machine/data-module.ts";

/** See the head of this file. */
export class HookedMachine<State, Arg, Ret, QArg, QRet> extends DataMachine<
  State,
  Arg,
  Ret,
  QArg,
  QRet
> {
  private readonly hook: DataHook<State, Arg, Ret, QArg, QRet> | undefined;
  private readonly hookFailed: (error: unknown) => void;

  constructor(
    module: DataModule<State, Arg, Ret, QArg, QRet>,
    hook: DataHook<State, Arg, Ret, QArg, QRet> | undefined,
    hookFailed: (error: unknown) => void,
  ) {
    super(module);
    this.hook = hook;
    this.hookFailed = hookFailed;
  }

  /** Calls the hook from now on, or no longer: this node began or ceased to lead the group. */
  lead(leading: boolean): void {
    const { hook } = this;
    if (!leading || hook === undefined) {
      this.observer = null;
      return;
    }
    this.observer = {
      committed: (before, arg, ret, after) => hook.onCommandCommitted?.(before, arg, ret, after),
      answered: (state, arg, ret) => hook.onQueryAnswered?.(state, arg, ret),
      failed: this.hookFailed,
    };
  }
}
