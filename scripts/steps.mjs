/**
 * Runs commands and steps with a headline and a time each. Used by every script here.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * A message for whoever ran the script: printed without a stack.
 */
export class ScriptError extends Error {}

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd] where to run; the root of the repository by default
 * @property {NodeJS.ProcessEnv} [env] its environment
 * @property {boolean} [capture] also return what it prints to its standard output
 * @property {boolean} [quiet] print its output only when it fails
 */

/**
 * Runs a command to its end and resolves to what it printed, if captured or quiet.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<string>}
 */
export async function run(command, args, options = {}) {
  const { output, errors, code } = await attempt(command, args, options);
  if (code === 0) return output;
  process.stdout.write(options.quiet ? output + errors : errors);
  throw new ScriptError(`${command} ${args.join(" ")} ended with code ${code}`);
}

/**
 * Like `run`, but a failure is returned and not thrown.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<{ output: string, errors: string, code: number }>}
 */
export function attempt(command, args, options = {}) {
  const piped = options.capture || options.quiet;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: options.env ?? process.env,
      stdio: ["ignore", piped ? "pipe" : "inherit", options.quiet ? "pipe" : "inherit"],
    });
    let output = "";
    let errors = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      output += text;
      if (!options.quiet) process.stdout.write(text);
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      errors += text;
    });
    child.on("error", ({ message }) => resolve({ output, errors: message, code: 127 }));
    child.on("close", (code) => resolve({ output, errors, code: code ?? 128 }));
  });
}

/**
 * Runs a tool out of node_modules.
 * @param {string} tool
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 */
export function tool(tool, args, options) {
  return run(`${ROOT}node_modules/.bin/${tool}`, args, options);
}

/**
 * Runs one step under a headline and says how long it took.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(name, work) {
  const start = performance.now();
  console.log(`\n== ${name}`);
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  try {
    const result = await work();
    console.log(`== ${name}: done in ${seconds()}`);
    return result;
  } catch (error) {
    console.log(`== ${name}: FAILED after ${seconds()}`);
    throw error;
  }
}

/**
 * Runs a script's main function; a failure is printed and becomes the exit code.
 * @param {() => Promise<void>} main
 */
export async function script(main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof ScriptError ? `\n${error.message}` : error);
    process.exitCode = 1;
  }
}
