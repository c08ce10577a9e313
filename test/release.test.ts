/** What a release packs: every platform, or nothing. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { pack } from "../scripts/pack.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { napi } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly napi: { readonly targets: readonly string[] };
};

it("builds every platform that package.json names", () => {
  const workflow = readFileSync(join(ROOT, ".github/workflows/release.yml"), "utf8");
  const [, build] = /\n {2}build:\n(.*?)\n {2}\w+:\n/s.exec(workflow.replace(/\n\s*#.*/g, ""))!;
  const built = [...build!.matchAll(/\{ target: ([\w-]+),/g)].map(([, target]) => target);
  expect(built.sort()).toEqual([...napi.targets].sort());
});

it("packs no release while a platform's binary is missing, and says which", async () => {
  const folder = mkdtempSync(join(tmpdir(), "raft-kv-release-"));
  try {
    await expect(pack(folder, { all: true })).rejects.toThrow(/raft-kv\.win32-x64-msvc\.node/);
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
