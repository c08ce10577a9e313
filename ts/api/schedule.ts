/** Timers that do not hold the process. */

/** Calls back once after so many milliseconds, unless the function that comes back is called first. */
export function schedule(delay: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delay);
  timer.unref();
  return () => clearTimeout(timer);
}
