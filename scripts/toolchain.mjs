/**
 * Says at once, and in words, what a build lacks.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { attempt, ROOT, ScriptError } from "./steps.mjs";

const INSTALL_RUST = `Install Rust (one minute, no root needed), open a new shell, and run the command again:

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh

On Windows: https://rustup.rs`;

/**
 * Throws unless Rust is there and new enough; returns the compiler's version line.
 * @returns {Promise<string>}
 */
export async function requireRust() {
  const wanted = /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(ROOT, "Cargo.toml"), "utf8"));
  if (wanted?.[1] === undefined) throw new ScriptError("Cargo.toml names no rust-version");
  for (const command of ["cargo", "rustc"]) {
    const { output, errors, code } = await attempt(command, ["--version"], { quiet: true });
    if (code !== 0) {
      throw new ScriptError(
        `raft-kv's engine is written in Rust and is compiled here, but \`${command}\` does not run:\n` +
          `  ${errors.trim()}\n\n${INSTALL_RUST}`,
      );
    }
    if (command === "rustc") {
      const found = /\d+\.\d+(\.\d+)?/.exec(output)?.[0] ?? "0.0";
      if (olderThan(found, wanted[1])) {
        throw new ScriptError(
          `raft-kv needs Rust ${wanted[1]} or newer; here is ${output.trim()}.\n\n` +
            "Update it by `rustup update stable`, or:\n\n" +
            INSTALL_RUST,
        );
      }
      return output.trim();
    }
  }
  throw new ScriptError("unreachable: rustc was not asked");
}

/**
 * @param {string} found
 * @param {string} wanted
 */
function olderThan(found, wanted) {
  const [a, b] = [found, wanted].map((version) => version.split(".").map(Number));
  const major = (a?.[0] ?? 0) - (b?.[0] ?? 0);
  return major !== 0 ? major < 0 : (a?.[1] ?? 0) < (b?.[1] ?? 0);
}
