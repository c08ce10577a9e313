/** Tries to open an engine in a worker thread and reports the error. */
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";

const { NativeEngine } = createRequire(import.meta.url)("../../native/binding.cjs");
try {
  await NativeEngine.open(workerData, () => {});
  parentPort.postMessage({ code: "opened" });
} catch ({ code, message }) {
  parentPort.postMessage({ code, message });
}
