/** How much of the past a picture shows: little at first, so that it is filled. Pure. */

/** Seconds that a picture may show, each with where its axis is labelled. */
const SPANS: readonly { readonly seconds: number; readonly labels: readonly number[] }[] = [
  { seconds: 60, labels: [0, 15, 30, 45, 60] },
  { seconds: 120, labels: [0, 30, 60, 90, 120] },
  { seconds: 300, labels: [0, 60, 120, 180, 240, 300] },
];

/** The shortest that shows a past of so many seconds, else the longest. */
export function spanOf(seconds: number): (typeof SPANS)[number] {
  const found = SPANS.find((span) => span.seconds >= seconds) ?? SPANS.at(-1);
  if (found === undefined) throw new Error("there are no spans");
  return found;
}
