/** Waiting for a promise no longer than a time limit or a caller's signal allows. */

/** Stands for "the time was over, or the signal was aborted, first". */
export const ENDED: unique symbol = Symbol("ended");

/**
 * The promise's value, or `ENDED`. Without a time limit only the signal ends the wait; the promise
 * itself goes on and what becomes of it is nobody's concern.
 */
export function within<T>(
  promise: Promise<T>,
  milliseconds: number | undefined,
  signal: AbortSignal | undefined,
): Promise<T | typeof ENDED> {
  if (signal?.aborted) {
    promise.catch(() => undefined);
    return Promise.resolve(ENDED);
  }
  if (milliseconds === undefined && signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const release = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", ended);
    };
    const ended = () => {
      release();
      resolve(ENDED);
    };
    const timer = milliseconds === undefined ? undefined : setTimeout(ended, milliseconds);
    signal?.addEventListener("abort", ended, { once: true });
    promise.then(
      (value) => {
        release();
        resolve(value);
      },
      (error: unknown) => {
        release();
        reject(error);
      },
    );
  });
}
