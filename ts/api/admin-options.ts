/** The option `admin`: where the admin server listens, and whom it lets in. */
import {
  ADMIN_PORT_DEFAULT,
  type AdminSettings,
  DASHBOARD_PORT_DEFAULT,
  isLoopback,
} from "../admin/http/settings.ts";
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

/** Options of which server, as messages name them, and its port where none is given. */
interface Kind {
  readonly name: string;
  readonly port: number;
}

const ADMIN: Kind = { name: "admin", port: ADMIN_PORT_DEFAULT };
const DASHBOARD: Kind = { name: "dashboard", port: DASHBOARD_PORT_DEFAULT };

/** The settings that follow from the option, else the environment; `undefined`: no server. */
export function resolveAdmin(option: unknown, environment: Environment): AdminSettings | undefined {
  const { RAFT_KV_ADMIN_LISTEN: listen = "" } = environment;
  if (option === undefined && listen === "") return undefined;
  return resolve(option === undefined ? {} : option, environment, ADMIN);
}

/** The settings of a dashboard's server. */
export function resolveDashboard(option: unknown): AdminSettings {
  return resolve(option, {}, DASHBOARD);
}

function resolve(option: unknown, environment: Environment, kind: Kind): AdminSettings {
  const { RAFT_KV_ADMIN_LISTEN: listen = "", RAFT_KV_ADMIN_TOKEN: token = "" } = environment;
  const { name } = kind;
  if (!isRecord(option))
    throw invalidOption(name, option, `an object such as { port: ${kind.port} }`);
  checkNames(`part of ${name}`, option, NAMES);
  const [host, port] = option.port === undefined && listen !== "" ? split(listen) : [];
  const tls = resolveTls(option.tls, environment, "RAFT_KV_ADMIN_TLS", `${name}.tls`);
  const settings = {
    host: hostOf(option.host ?? host, kind),
    port: portOf(option.port ?? port, kind),
    tls,
  } as AdminSettings;
  const secret = tokenOf(option.token ?? (token === "" ? undefined : token), kind);
  // Not enumerable: settings are printed and copied, a token should not be.
  Object.defineProperty(settings, "token", { value: secret });
  if (!isLoopback(settings.host) && secret === undefined && tls === undefined) {
    const allowed = `given, or ${name}.tls, where ${name}.host can be reached from other machines`;
    throw invalidOption(`${name}.token`, undefined, allowed);
  }
  return Object.freeze(settings);
}

function split(listen: string): [host: string | undefined, port: number] {
  const parts = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(listen);
  if (parts !== null) return [parts[1] ?? parts[2], Number(parts[3])];
  throw invalidOption("RAFT_KV_ADMIN_LISTEN", listen, '"host:port" or "port", such as "4480"');
}

function hostOf(value: unknown, { name }: Kind): string {
  if (value === undefined) return "127.0.0.1";
  if (typeof value === "string" && /^[A-Za-z0-9._:-]+$/.test(value)) return value;
  throw invalidOption(`${name}.host`, value, 'a host or address, such as "127.0.0.1"');
}

function portOf(value: unknown, { name, port }: Kind): number {
  if (value === undefined) return port;
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535) {
    return value as number;
  }
  throw invalidOption(`${name}.port`, value, "a whole number from 0 to 65535");
}

function tokenOf(value: unknown, { name }: Kind): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) {
    if (value.length >= TOKEN_LENGTH_MIN) return value;
  }
  // The value itself is a secret, and not shown.
  throw invalidOption(
    `${name}.token`,
    "(kept secret)",
    `${TOKEN_LENGTH_MIN} or more characters of
    ASCII without spaces`.replace(/\s+/g, " "),
  );
}
