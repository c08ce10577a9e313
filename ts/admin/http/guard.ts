/**
 * Whom the admin server lets in. Pages of other sites must neither read nor change anything through
 * a browser of this machine: the Host header has to name this machine (a name that was pointed here
 * does not), a POST has to be JSON, which browsers ask about first, and its Origin this server; no
 * answer allows other sites anything.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { RaftKVError } from "../../errors.ts";
import type { Route } from "./route.ts";
import { type AdminSettings, isLoopback } from "./settings.ts";

/** Refuses a request that is not to be answered. @throws `ACCESS_DENIED` */
export function checkAccess(
  request: IncomingMessage,
  route: Route | undefined,
  settings: AdminSettings,
): void {
  const { host, origin, authorization } = request.headers;
  if (isLoopback(settings.host) && !isLoopback(hostName(host ?? ""))) {
    throw denied("the Host header does not name this machine; connect to 127.0.0.1 or localhost");
  }
  if (origin !== undefined && !isOwnOrigin(origin, host)) {
    throw denied("pages of other sites may not use this server");
  }
  const { token } = settings;
  if (token === undefined || route?.open === true) return;
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (given !== undefined && isSame(given, token)) return;
  throw denied("the token is missing or wrong: send it as `Authorization: Bearer TOKEN`");
}

/** Refuses a body that is not JSON. @throws `INVALID_ARGUMENT` */
export function checkType(request: IncomingMessage): void {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type === "application/json") return;
  const message = "a POST has to have the header `Content-Type: application/json`";
  throw new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}

function hostName(host: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(host)?.[1];
  return bracketed ?? host.split(":", 1)[0] ?? "";
}

function isOwnOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

/** Compares digests, whose lengths are equal, in a time that tells nothing. */
function isSame(given: string, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

function denied(message: string): RaftKVError {
  return new RaftKVError("ACCESS_DENIED", message, { outcome: "not applied" });
}
