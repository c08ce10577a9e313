/** TLS material: PEM text as it is, or the paths of files that hold it. */

import { readFileSync } from "node:fs";
import { checkNames, invalidOption, isRecord } from "./option-values.ts";

/** Mutual TLS between nodes. Each value is PEM text or the path of a PEM file. */
export interface TlsOptions {
  /** Certificates of the authorities that peers are checked against. */
  readonly ca: string;
  /** This node's certificate, with intermediate ones. */
  readonly cert: string;
  /** The certificate's private key. */
  readonly key: string;
}

/** TLS material as PEM text. */
export interface TlsSettings {
  readonly ca: string;
  readonly cert: string;
  /** Not enumerable: settings are printed and copied, a private key should not be. */
  readonly key: string;
}

const PARTS = ["ca", "cert", "key"] as const;
type Part = (typeof PARTS)[number];

const MARKS: Readonly<Record<Part, RegExp>> = {
  ca: /-----BEGIN CERTIFICATE-----/,
  cert: /-----BEGIN CERTIFICATE-----/,
  key: /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
};

/**
 * The TLS material of the option, else of the environment, whose variables are `${prefix}_CA`,
 * `_CERT` and `_KEY`; `undefined` when neither has any.
 */
export function resolveTls(
  option: unknown,
  environment: Readonly<Record<string, string | undefined>>,
  prefix = "RAFT_KV_TLS",
  optionName = "tls",
): TlsSettings | undefined {
  if (option !== undefined) {
    if (!isRecord(option)) throw invalidOption(optionName, option, "{ ca, cert, key }");
    checkNames(`part of ${optionName}`, option, PARTS);
    return read(
      (part) => option[part],
      (part) => `${optionName}.${part}`,
    );
  }
  const variable = (part: Part) => `${prefix}_${part.toUpperCase()}`;
  if (PARTS.every((part) => (environment[variable(part)] ?? "") === "")) return undefined;
  return read((part) => environment[variable(part)], variable);
}

function read(value: (part: Part) => unknown, name: (part: Part) => string): TlsSettings {
  const [ca, cert, key] = PARTS.map((part) => pem(value(part), name(part), MARKS[part]));
  const settings = { ca, cert } as TlsSettings;
  Object.defineProperty(settings, "key", { value: key });
  return settings;
}

function pem(value: unknown, name: string, mark: RegExp): string {
  if (typeof value !== "string" || value === "") {
    throw invalidOption(
      name,
      value,
      "PEM text or the path of a PEM file; ca, cert and key go together",
    );
  }
  let text = value;
  if (!value.includes("-----BEGIN ")) {
    try {
      text = readFileSync(value, "utf8");
    } catch (error) {
      const reason = error instanceof Error ? error.message : "it cannot be read";
      throw invalidOption(name, value, `PEM text or the path of a PEM file (${reason})`);
    }
  }
  if (mark.test(text)) return text;
  throw invalidOption(name, value, `PEM with a line that matches ${mark.source}`);
}
