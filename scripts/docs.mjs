/**
 * `npm run docs`: writes the reference of the API, made from the docstrings, into docs/reference, or
 * into the folder that is named: `npm run docs -- FOLDER`. `npm run verify` checks that nothing
 * that the package exports is without a docstring.
 */
import { resolve } from "node:path";
import { script, step, tool } from "./steps.mjs";

await script(async () => {
  const [folder = "docs/reference"] = process.argv.slice(2);
  await step("reference", () => tool("typedoc", ["--out", resolve(folder)]));
});
