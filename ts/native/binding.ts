/**
 * Loads the compiled addon, and says what to do when it is not there. Only this folder knows of
 * the generated loader and its declarations.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import type * as Binding from "../../native/binding.cjs";
import { RaftKVError } from "../errors.ts";
import { VERSION } from "../version.ts";

/** What the addon exports. */
export type { Binding };

/** Where the generated loader is, seen from dist/ and from this file. */
const LOADERS = ["../native/binding.cjs", "../../native/binding.cjs"];

let loaded: typeof Binding | undefined;

/**
 * The addon, loaded at the first call. The environment variable `NAPI_RS_NATIVE_LIBRARY_PATH` names
 * a binary to load instead of the installed one.
 */
export function loadBinding(): typeof Binding {
  if (loaded !== undefined) return loaded;
  if (!isMainThread) {
    throw new RaftKVError(
      "INVALID_OPTION",
      "worker threads are not supported yet: open raft-kv on the main thread of the process",
    );
  }
  const urls = LOADERS.map((path) => new URL(path, import.meta.url));
  const loader = urls.find((url) => existsSync(url));
  try {
    if (loader === undefined)
      throw new Error(`none of ${urls.map((url) => fileURLToPath(url))} exists`);
    const require = createRequire(import.meta.url);
    const binding = require(fileURLToPath(loader)) as typeof Binding;
    checkVersion(binding);
    loaded = binding;
    return loaded;
  } catch (cause) {
    throw new RaftKVError("INTERNAL", missingMessage(cause), { cause, action: "fix" });
  }
}

/** A binary of another version may speak another language at the boundary, and answer wrongly. */
function checkVersion(binding: Partial<typeof Binding>): void {
  const found = binding.version?.() ?? "of another time";
  if (found !== VERSION) throw new StaleBinary(found);
}

class StaleBinary extends Error {
  constructor(found: string) {
    super(`the native engine is version ${found}, but raft-kv is version ${VERSION}`);
  }
}

function missingMessage(cause: unknown): string {
  const platform = [process.platform, process.arch, libc()].filter(Boolean).join("-");
  const override = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  const advice =
    override === undefined || override === ""
      ? [
          "  in a project that uses raft-kv: `npm install` again without `--omit=optional`, and if",
          "    the lock file was made on another platform, remove node_modules and",
          "    package-lock.json first (npm/cli issue 4828);",
          "  in a checkout of raft-kv, or on a platform without a binary: install Rust",
          "    (https://rustup.rs) and run `npm run build`.",
        ]
      : [`  NAPI_RS_NATIVE_LIBRARY_PATH is ${override}: correct or unset it.`];
  const stale = cause instanceof StaleBinary ? [`  ${cause.message}.`] : [];
  return [
    `raft-kv's native engine could not be loaded on ${platform}, Node.js ${process.version}.`,
    ...stale,
    ...advice,
  ].join("\n");
}

function libc(): string {
  if (process.platform !== "linux") return "";
  const report = process.report?.getReport() as { header?: Record<string, unknown> } | undefined;
  return report?.header?.glibcVersionRuntime === undefined ? "musl" : "gnu";
}
