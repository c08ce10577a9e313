// Articles with reservations, and carts. An article's stock and all its reservations are one value,
// so an article is never sold twice; a cart is another key, changed after the article was.

/**
 * @typedef {{ count: number, until: number }} Reservation
 * @typedef {{ left: number, reserved: Map<string, Reservation> }} Stock
 * @typedef {{ type: "stock", count: number }
 *   | { type: "reserve", cart: string, count: number, forMs: number }
 *   | { type: "sell", cart: string }
 *   | { type: "release", cart: string }
 *   | { type: "expire" }} ArticleCommand
 * @typedef {{ ok: boolean, left: number }} ArticleAnswer
 * @typedef {Map<string, number>} Cart count by article
 */

/** @type {import("raft-kv").ValuePerKey<Stock, string, ArticleCommand, ArticleAnswer, "left", number>} */
export const articles = {
  command(previous, _size, _article, arg, { now }) {
    const stock = previous ?? { left: 0, reserved: new Map() };
    giveBackExpired(stock, now);
    const ok = change(stock, arg, now);
    return [{ ok, left: stock.left }, 1, stock, 1 + stock.reserved.size];
  },
  query: (stock, _size, _article, _arg, { now }) => {
    let expired = 0;
    for (const { count, until } of stock.reserved.values()) if (until <= now) expired += count;
    return [stock.left + expired, 1];
  },
};

/** @param {Stock} stock @param {number} now */
function giveBackExpired(stock, now) {
  for (const [cart, { count, until }] of stock.reserved) {
    if (until > now) continue;
    stock.reserved.delete(cart);
    stock.left += count;
  }
}

/** @param {Stock} stock @param {ArticleCommand} arg @param {number} now */
function change(stock, arg, now) {
  switch (arg.type) {
    case "stock":
      stock.left += arg.count;
      return true;
    case "reserve": {
      // The same cart once more replaces its reservation: a repeated request changes nothing.
      const before = stock.reserved.get(arg.cart)?.count ?? 0;
      if (stock.left + before < arg.count) return false;
      stock.left += before - arg.count;
      stock.reserved.set(arg.cart, { count: arg.count, until: now + arg.forMs });
      return true;
    }
    case "sell":
      return stock.reserved.delete(arg.cart);
    case "release": {
      stock.left += stock.reserved.get(arg.cart)?.count ?? 0;
      return stock.reserved.delete(arg.cart);
    }
    default:
      return true;
  }
}

/** @type {import("raft-kv").ValuePerKey<Cart, string, { article: string, count: number } | "empty", number, "all", Cart>} */
export const carts = {
  command(cart = new Map(), _size, _cart, arg) {
    if (arg === "empty") return [0, 1, undefined, 0];
    cart.set(arg.article, arg.count);
    return [cart.size, 1, cart, cart.size];
  },
  query: (cart) => [cart, 1],
};
