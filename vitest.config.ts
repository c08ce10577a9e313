import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Programs of bench/ name the package; its sources are meant, as in tsconfig.json.
  resolve: {
    alias: [
      {
        find: /^raft-kv$/,
        replacement: fileURLToPath(new URL("ts/index.ts", import.meta.url)),
      },
      {
        find: /^raft-kv\/testing$/,
        replacement: fileURLToPath(new URL("ts/testing/index.ts", import.meta.url)),
      },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    // A native addon is loaded per process: forks, never worker threads.
    pool: "forks",
    testTimeout: 30_000,
  },
});
