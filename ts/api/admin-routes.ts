/** Everything that the admin server of a node answers; each area has its own file of routes. */
import { healthRoutes } from "../admin/http/health.ts";
import type { Route } from "../admin/http/route.ts";
import { verbRoutes } from "../admin/http/verbs.ts";
import { dashboardRoutes } from "../dashboard/routes.ts";
import type { NodeLifecycle } from "./lifecycle.ts";

/** See the head of this file. */
export function adminRoutes(lifecycle: NodeLifecycle): Route[] {
  const health = healthRoutes({
    metrics: (options) => lifecycle.metrics(options),
    readiness: () => lifecycle.readiness(),
  });
  return [...verbRoutes(lifecycle.admin), ...health, ...dashboardRoutes(lifecycle.dashboard)];
}
