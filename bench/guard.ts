/**
 * Stands between the suite and a server of a peer: runs the command of its arguments, and ends it
 * when the suite disconnects, however that comes.
 */
import { spawn } from "node:child_process";

const [command = "", ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: "ignore" });
process.on("disconnect", () => {
  child.kill("SIGKILL");
  process.exit();
});
child.on("error", () => process.exit(1));
child.on("exit", (code) => process.exit(code ?? 1));
process.send?.({ pid: child.pid ?? 0 });
