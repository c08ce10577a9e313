/** What is wrong with the cluster, in words. Pure. */
import type { View } from "../types.ts";
import { brief, of } from "./format.ts";

/** A sentence for each thing that is not as it should be. */
export function problemsOf({ nodes, groups, reasons }: View): string[] {
  const gone = nodes.filter(({ health }) => health === "unreachable");
  const purged = nodes.filter(({ health }) => health === "purged");
  const lost = groups.filter(({ state }) => state === "no leader");
  return [
    ...gone.map(({ name }) => `${brief(name)} is out of reach.`),
    ...purged.map(
      ({ name }) => `${brief(name)} was taken for lost; others take over its replicas.`,
    ),
    ...lost.map(({ name }) => `${name} has no leader.`),
    ...reasons
      .filter((reason) => lost.length === 0 || !reason.includes("have no leader"))
      .map((reason) => `This node: ${reason}.`),
  ];
}

/** The state of the cluster in a few words. */
export function healthOf(view: View): { readonly text: string; readonly level: string } {
  const problems = problemsOf(view);
  if (problems.length > 0) return { text: of(problems.length, "problem"), level: "bad" };
  const moving = view.groups.filter(({ state }) => state !== "ok").length;
  if (moving > 0) return { text: `healthy, ${of(moving, "group")} moving`, level: "good" };
  return { text: "healthy", level: "good" };
}
