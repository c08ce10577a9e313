/** Addresses of this machine for the nodes of a test. */
import { createServer } from "node:net";

/** Loopback addresses that were free a moment ago. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", resolve);
      });
      return server;
    }),
  );
  const addresses = servers.map((server) => {
    const bound = server.address();
    return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}
