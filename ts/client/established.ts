/** Whether a replica that says it leads has a majority behind it. */
import type { Replica } from "../host/replica.ts";
import { SURVEY_CONFIRM_MS } from "../limits.ts";
import { within } from "./within.ts";

/** Does a replica lead with a majority behind it? One that lost it does not know by itself. */
export async function isEstablished(replica: Replica): Promise<boolean> {
  if (!replica.leading) return false;
  const confirmed = replica.confirmed().then(
    () => true,
    () => false,
  );
  return (await within(confirmed, SURVEY_CONFIRM_MS, undefined)) === true;
}
