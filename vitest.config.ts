import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A native addon is loaded per process: forks, never worker threads.
    pool: "forks",
    testTimeout: 30_000,
  },
});
