/** Everything that the admin server of a node answers; each area has its own file of routes. */
import { ClusterSource } from "../admin/backup/source.ts";
import { ClusterTarget } from "../admin/backup/target.ts";
import { backupRoutes } from "../admin/http/backup.ts";
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
  const backup = backupRoutes(
    () => new ClusterSource(lifecycle.adminPorts()),
    () => new ClusterTarget(lifecycle.adminPorts()),
  );
  return [
    ...verbRoutes(lifecycle.admin),
    ...backup,
    ...health,
    ...dashboardRoutes(lifecycle.dashboard),
  ];
}
