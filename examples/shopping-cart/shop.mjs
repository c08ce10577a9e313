// The shop: what a request handler calls. No transaction spans an article and a cart, and none is
// needed: the article is reserved first, under the cart's name. If the process dies in between, the
// reservation runs out by itself; if the customer tries again, it is replaced.
import { articles, carts } from "./modules.mjs";

const POLICY = { maxShards: 64, maxKeysPerShard: 50_000 };

/**
 * @param {import("raft-kv").RaftKVNode["kv"]} kv
 * @param {{ reservedForMs?: number }} [options]
 */
export async function openShop(kv, { reservedForMs = 15 * 60_000 } = {}) {
  const stock = await kv.openKeyspace("articles", articles, null, POLICY);
  const baskets = await kv.openKeyspace("carts", carts, null, POLICY);
  return {
    /** @param {string} article @param {number} count */
    deliver: (article, count) => stock.command(article, { type: "stock", count }),

    /**
     * Whether so many could be put into the cart.
     * @param {string} cart @param {string} article @param {number} count
     */
    async put(cart, article, count) {
      const reserve = { type: /** @type {const} */ ("reserve"), cart, count, forMs: reservedForMs };
      const { ok } = await stock.command(article, reserve);
      if (ok) await baskets.command(cart, { article, count });
      return ok;
    },

    /**
     * Buys what is in the cart; says for each article whether its reservation still stood.
     * @param {string} cart
     */
    async buy(cart) {
      const wanted = (await baskets.query(cart, "all")) ?? new Map();
      /** @type {Record<string, boolean>} */
      const bought = {};
      for (const article of wanted.keys()) {
        bought[article] = (await stock.command(article, { type: "sell", cart })).ok;
      }
      await baskets.command(cart, "empty");
      return bought;
    },

    /** @param {string} article */
    left: async (article) => (await stock.query(article, "left")) ?? 0,

    /** Gives expired reservations back that nobody asks for; run it every few minutes. */
    expire: () => stock.commandOnAllKeys({ type: "expire" }),
  };
}
