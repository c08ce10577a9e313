/** Where a browser finds a dashboard. */
import { hostname } from "node:os";
import type { AdminSettings } from "../admin/http/settings.ts";

/** Addresses that stand for all of a machine's. */
const ANY = /^(0\.0\.0\.0|\[::\]):/;

/** The URL of a server's page; a token is in the part of it that browsers send to nobody. */
export function dashboardUrl(address: string, { token, tls }: AdminSettings): string {
  const reached = address.replace(ANY, `${hostname()}:`);
  const part = token === undefined ? "" : `#token=${encodeURIComponent(token)}`;
  return `${tls === undefined ? "http" : "https"}://${reached}/dashboard${part}`;
}
