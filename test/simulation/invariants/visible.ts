/**
 * What was acknowledged to anybody before a query began is in its answer, on whichever node it is
 * asked (`design/architecture.md`, section 3 and guarantee 1).
 */

/** `acknowledged` are the key's commands that were acknowledged before the query began. */
export function checkVisible(
  key: string,
  acknowledged: ReadonlySet<string>,
  found: readonly string[],
): void {
  const seen = new Set(found);
  for (const id of acknowledged) {
    if (!seen.has(id)) throw new Error(`a query of ${key} missed ${id}, which was acknowledged`);
  }
}
