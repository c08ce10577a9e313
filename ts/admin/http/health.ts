/** What probes and Prometheus ask: `/livez`, `/readyz`, `/metrics`. */
import { EXPOSITION_TYPE } from "../../metrics/exposition.ts";
import type { Route } from "./route.ts";

/** Where the answers come from. */
export interface HealthSource {
  /** @throws `NOT_ACTIVE` while the node is not active */
  metrics(options: { readonly shards: boolean }): string;
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
}

/** The routes of this area. */
export function healthRoutes(source: HealthSource): Route[] {
  return [
    // The process answers: its event loop turns.
    { method: "GET", path: "/livez", open: true, answer: () => ({ json: { live: true } }) },
    {
      method: "GET",
      path: "/readyz",
      open: true,
      answer: () => {
        const { ready, reasons } = source.readiness();
        return { status: ready ? 200 : 503, json: { ready, reasons } };
      },
    },
    {
      method: "GET",
      path: "/metrics",
      answer: ({ query }) => {
        const shards = ["1", "true"].includes(query.get("shards") ?? "");
        return { type: EXPOSITION_TYPE, text: source.metrics({ shards }) };
      },
    },
  ];
}
