/** What a user writes to replicate any value of their own as a consensus group. */

/**
 * The code of a replicated value. All three functions are synchronous and pure: the same arguments
 * give the same results on every replica, and no argument is changed in place.
 *
 * States, arguments and results may be whatever the structured clone algorithm takes.
 */
export interface DataModule<State, Arg, Ret, QArg = Arg, QRet = Ret> {
  /** The value that a new group starts with. */
  init(): State;
  /** Carries out a command: what its caller gets, and the next value. */
  command(state: State, arg: Arg): [Ret, State];
  /** Answers a read-only request. */
  query(state: State, arg: QArg): QRet;
}

/** Side effects of a group's commands and queries; they run on the node that leads the group. */
export interface DataHook<State, Arg, Ret, QArg = Arg, QRet = Ret> {
  /** A command has taken effect. */
  onCommandCommitted?(before: State, arg: Arg, ret: Ret, after: State): void;
  /** A query has been answered. */
  onQueryAnswered?(state: State, arg: QArg, ret: QRet): void;
}
