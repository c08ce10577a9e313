// A token bucket per client: `rate` tokens come back every second, up to `burst`.
//
// The time is `context.now`: it comes with the log entry, is the same on every replica and never
// goes back, so that all replicas count the same tokens.

/**
 * @typedef {{ tokens: number, at: number }} Bucket what was left, and when
 * @typedef {{ cost: number }} Take
 * @typedef {{ allowed: boolean, left: number, retryAfter: number }} Verdict `retryAfter` in seconds
 */

/**
 * @param {{ rate: number, burst: number }} limit
 * @returns {import("raft-kv").ValuePerKey<Bucket, string, Take, Verdict, "left", number>}
 */
export function rateLimiter({ rate, burst }) {
  /** @param {Bucket | undefined} bucket @param {number} now */
  const tokensAt = (bucket, now) =>
    bucket === undefined
      ? burst
      : Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * rate);

  return {
    command(bucket, _size, _client, { cost }, { now }) {
      const tokens = tokensAt(bucket, now);
      if (tokens < cost) {
        const retryAfter = Math.ceil((cost - tokens) / rate);
        // Nothing is taken, so nothing has to be written: the bucket stays as it was.
        return [{ allowed: false, left: Math.floor(tokens), retryAfter }, 1, bucket, 1];
      }
      const left = tokens - cost;
      return [
        { allowed: true, left: Math.floor(left), retryAfter: 0 },
        1,
        { tokens: left, at: now },
        1,
      ];
    },
    query: (bucket, _size, _client, _arg, { now }) => [Math.floor(tokensAt(bucket, now)), 1],
  };
}
