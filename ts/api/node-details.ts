/** What a node adds to a system dump: settings without secrets, statistics, the last log lines. */
import { VERSION } from "../version.ts";
import type { Core } from "./core.ts";

/** See the head of this file. */
export function nodeDetails(core: Core) {
  const { settings, engine, client, lines, groups } = core;
  const { tls, logger, admin, ...rest } = settings;
  return {
    version: VERSION,
    runtime: { node: process.version, platform: process.platform, arch: process.arch },
    identity: { ...engine.identity() },
    settings: {
      ...rest,
      seeds: [...settings.seeds],
      tls: tls !== undefined,
      logger: logger !== undefined,
      admin: admin === undefined ? null : { host: admin.host, port: admin.port },
    },
    statistics: { ...engine.statistics() },
    memory: { ...process.memoryUsage() },
    resources: { ...process.resourceUsage() },
    uptimeSeconds: Math.round(process.uptime()),
    requestsInFlight: client.inFlight,
    storedGroups: [...groups.storedGroups()],
    log: [...lines.recent.lines],
  };
}
