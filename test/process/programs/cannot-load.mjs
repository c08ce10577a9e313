// Tells how activating fails when the native engine cannot be used.
import { RaftFleet } from "raft-kv";

await RaftFleet.activate("zone", { dataDir: ":memory:" }).then(
  () => console.log("activated"),
  ({ name, code, action, message }) => console.log(JSON.stringify({ name, code, action, message })),
);
