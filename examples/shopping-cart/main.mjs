// Two customers want the last lamps.
import { createNode } from "raft-kv";
import { openShop } from "./shop.mjs";

const node = createNode({ dataDir: ":memory:" });
await node.fleet.activate("zone");
await node.kv.init();
const shop = await openShop(node.kv);

await shop.deliver("lamp", 3);
console.log("ada puts 2 lamps into her cart:", await shop.put("ada", "lamp", 2));
console.log("bob puts 2 lamps into his cart:", await shop.put("bob", "lamp", 2));
console.log("bob takes 1:", await shop.put("bob", "lamp", 1));
console.log("left on the shelf:", await shop.left("lamp"));
console.log("ada buys:", await shop.buy("ada"));
console.log("left on the shelf:", await shop.left("lamp"));
await node.close();
