/** The option `admin`: where the admin server listens, and whom it lets in. */
import { ADMIN_PORT_DEFAULT, type AdminSettings, isLoopback } from "../admin/http/settings.ts";
import { checkNames, invalidOption, isRecord } from "./option-values.ts";
import { resolveTls, type TlsOptions } from "./tls.ts";

/** Options of the admin server. */
export interface AdminOptions {
  /** Port to listen at; 0 picks a free one. Default 4480. */
  readonly port?: number | undefined;
  /** Host or address to listen at. Default 127.0.0.1: only this machine. */
  readonly host?: string | undefined;
  /** What requests have to bring along; needed, unless there is `tls`, beyond this machine. */
  readonly token?: string | undefined;
  /** Mutual TLS: only who has a certificate of `ca` is let in. */
  readonly tls?: TlsOptions | undefined;
}

const NAMES = ["port", "host", "token", "tls"] as const satisfies readonly (keyof AdminOptions)[];
/** Characters of a token at least: it must not be guessed. */
const TOKEN_LENGTH_MIN = 16;

type Environment = Readonly<Record<string, string | undefined>>;

/** The settings that follow from the option, else the environment; `undefined`: no server. */
export function resolveAdmin(option: unknown, environment: Environment): AdminSettings | undefined {
  const { RAFT_KV_ADMIN_LISTEN: listen = "", RAFT_KV_ADMIN_TOKEN: token = "" } = environment;
  if (option === undefined && listen === "") return undefined;
  if (option !== undefined && !isRecord(option)) {
    throw invalidOption("admin", option, "an object such as { port: 4480 }");
  }
  const given: Record<string, unknown> = option ?? {};
  checkNames("part of admin", given, NAMES);
  const [host, port] = given.port === undefined && listen !== "" ? split(listen) : [];
  const tls = resolveTls(given.tls, environment, "RAFT_KV_ADMIN_TLS", "admin.tls");
  const settings = {
    host: hostOf(given.host ?? host),
    port: portOf(given.port ?? port),
    tls,
  } as AdminSettings;
  const secret = tokenOf(given.token ?? (token === "" ? undefined : token));
  // Not enumerable: settings are printed and copied, a token should not be.
  Object.defineProperty(settings, "token", { value: secret });
  if (!isLoopback(settings.host) && secret === undefined && tls === undefined) {
    throw invalidOption("admin.token", undefined, `given, or admin.tls, where ${BEYOND}`);
  }
  return Object.freeze(settings);
}

const BEYOND = "admin.host can be reached from other machines";

function split(listen: string): [host: string | undefined, port: number] {
  const parts = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(listen);
  if (parts !== null) return [parts[1] ?? parts[2], Number(parts[3])];
  throw invalidOption("RAFT_KV_ADMIN_LISTEN", listen, '"host:port" or "port", such as "4480"');
}

function hostOf(value: unknown): string {
  if (value === undefined) return "127.0.0.1";
  if (typeof value === "string" && /^[A-Za-z0-9._:-]+$/.test(value)) return value;
  throw invalidOption("admin.host", value, 'a host or address, such as "127.0.0.1"');
}

function portOf(value: unknown): number {
  if (value === undefined) return ADMIN_PORT_DEFAULT;
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535) {
    return value as number;
  }
  throw invalidOption("admin.port", value, "a whole number from 0 to 65535");
}

function tokenOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) {
    if (value.length >= TOKEN_LENGTH_MIN) return value;
  }
  // The value itself is a secret, and not shown.
  throw invalidOption(
    "admin.token",
    "(kept secret)",
    `${TOKEN_LENGTH_MIN} or more characters of
    ASCII without spaces`.replace(/\s+/g, " "),
  );
}
