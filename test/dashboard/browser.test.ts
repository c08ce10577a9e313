/**
 * The dashboard's page in a real Chromium: opened while a keyspace splits and merges, it shows both
 * happen. Not run where there is no Chromium.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RaftKVNode } from "../../ts/index.ts";
import { mapModule } from "../node/support/modules.ts";
import { newNode, openNode, QUICK } from "../node/support/nodes.ts";
import { eventually } from "../node/support/waiting.ts";
import { Chromium, findChromium, type Page } from "./support/chromium.ts";

const TOKEN = "a-token-that-is-long-enough";
const PHONE = 390;

let browser: Chromium;
let reason = "no Chromium here: install one, or name it by RAFT_KV_TEST_CHROMIUM";

beforeAll(async () => {
  const path = findChromium();
  if (path === undefined) return;
  reason = "";
  await Chromium.start(path).then(
    (started) => {
      browser = started;
    },
    (error) => {
      reason = `${path} does not start: ${error}`;
    },
  );
});

afterAll(() => browser?.close());

beforeEach(({ skip }) => {
  skip(reason !== "", reason);
});

/** Waits until the text of an element is as it should be. */
function shows(page: Page, selector: string, pattern: RegExp): Promise<string> {
  return eventually(`${selector} shows ${pattern}`, async () => {
    const text = await page.text(selector);
    return pattern.test(text) && text;
  });
}

/** The README example's keyspace with its 200 keys. */
async function fill(node: RaftKVNode): Promise<void> {
  await node.kv.registerKeyspace("kv", mapModule, null, { maxShards: 16, maxKeysPerShard: 100 });
  for (let at = 0; at < 200; at++) await node.kv.command("kv", `key-${at}`, { set: at });
}

async function empty(node: RaftKVNode): Promise<void> {
  for (let at = 0; at < 200; at++) await node.kv.command("kv", `key-${at}`, "unset");
}

/** Of a heat map: how many colours it has, and how many pixels are those of splits and merges. */
function drawn(page: Page): Promise<{ colours: number; inked: number }> {
  return page.evaluate(`(() => {
    const canvas = document.querySelector(".waterfall");
    const context = canvas.getContext("2d");
    const pixels = new Uint32Array(
      context.getImageData(0, 0, canvas.width, canvas.height).data.buffer,
    );
    const [red, green, blue] = getComputedStyle(canvas).color.match(/\\d+/g).map(Number);
    const ink = (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
    return { colours: new Set(pixels).size, inked: pixels.filter((one) => one === ink).length };
  })()`);
}

/** How many pixels the page is wider than its window. */
function overflow(page: Page): Promise<number> {
  return page.evaluate("document.documentElement.scrollWidth - innerWidth");
}

describe("in Chromium", { timeout: 60_000 }, () => {
  test("the page shows the README example split and merge, and asks no other server", async () => {
    const node = await openNode(QUICK);
    const { address, url } = await node.fleet.dashboard({ port: 0, token: TOKEN });
    const page = await browser.open(url, 1280, 900);
    await shows(page, "#keyspace-list + .card", /There is no keyspace yet/);
    await fill(node);
    await shows(page, ".keyspace .meta", /^3 shards, 200 keys/);
    const band = ".band .shard b";
    const names = `[...document.querySelectorAll("${band}")].map((one) => one.innerText)`;
    await eventually(
      "three pieces",
      async () => (await page.evaluate<string[]>(names)).length === 3,
    );
    expect(await page.evaluate<string[]>(names)).toContain("kv_67108864");
    const splits = await shows(page, "#events", /(Split[^:]*gave half[\s\S]*){2}/);
    expect(splits).toMatch(/kv_0 gave half of its range to kv_67108864/);
    const title = `document.querySelector(".waterfall").getAttribute("aria-label")`;
    expect(await page.evaluate<string>(title)).toContain("2 splits, 0 merges");
    const picture = await drawn(page);
    expect(picture.colours).toBeGreaterThan(3);
    expect(picture.inked).toBeGreaterThan(20);
    await shows(page, ".keyspace table", /kv_67108864\s+25 %|kv_67108864\s+50 %/);

    await empty(node);
    await shows(page, ".keyspace .meta", /^1 shard, 0 keys/);
    await shows(page, "#events", /(Merge[\s\S]*){2}/);
    await page.evaluate(`document.querySelector(".keyspace details:last-of-type").open = true`);
    await shows(page, ".keyspace details:last-of-type table", /Hottest range/);

    expect(page.errors).toEqual([]);
    const places = new Set(page.requests.map((asked) => new URL(asked).origin));
    expect([...places].filter((origin) => origin !== "null")).toEqual([`http://${address}`]);
    // The token is not left in the address, for others to see or to be passed on.
    expect(await page.evaluate("location.href")).toBe(`http://${address}/dashboard`);
  });

  test("it asks for the token, says when the node is away, and comes back by itself", async () => {
    const node = newNode();
    await node.fleet.activate("zone");
    const { address } = await node.fleet.dashboard({ port: 0, token: TOKEN });
    const page = await browser.open(`http://${address}/`, 1280, 900);
    const give = (token: string) =>
      page.evaluate(`(() => {
        document.querySelector("#token-text").value = ${JSON.stringify(token)};
        document.querySelector("#token button").click();
      })()`);
    await shows(page, "#token", /asks for its token/);
    await give("not-the-token-of-it");
    await shows(page, "#token-problem", /not the token/);
    await give(TOKEN);
    await shows(page, "#connection", /^Live$/);
    await shows(page, "#nodes-count", /^1 in 1 zone$/);
    expect(await page.text("#token")).toBe("");
    await node.close();
    await shows(page, "#connection", /^Not live, as of .* Trying again$/);
    await shows(page, "#announcer", /connection to the node is lost/);
    await node.fleet.activate("other-zone");
    await shows(page, "#connection", /^Live$/);
    await shows(page, "#zones", /other-zone/);
  });

  test("it fits a phone, has both themes, and works with the keyboard", async () => {
    const node = await openNode(QUICK);
    await fill(node);
    const { url } = await node.fleet.dashboard({ port: 0 });
    const page = await browser.open(url, PHONE, 844);
    await shows(page, ".keyspace .meta", /^3 shards/);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    const paper = "getComputedStyle(document.body).backgroundColor";
    await page.prefer("light");
    const light = await page.evaluate(paper);
    await page.prefer("dark");
    const dark = await page.evaluate(paper);
    expect(dark).not.toBe(light);
    await page.evaluate(`document.querySelector("#theme").click()`);
    expect(await page.evaluate(paper)).toBe(light);
    expect(await page.text("#theme")).toBe("Dark");

    // Everything that can be used is reached by Tab, in order, and is named.
    const focused: string[] = [];
    await page.evaluate("document.activeElement.blur()");
    for (let at = 0; at < 10; at++) {
      await page.press("Tab");
      focused.push(
        await page.evaluate(`(() => {
          const { activeElement: one } = document;
          const name = one.getAttribute("aria-label") ?? one.labels?.[0]?.innerText ?? "";
          const style = getComputedStyle(one.matches("[name=metric]") ? one.nextElementSibling : one);
          return [name.trim() || one.innerText.trim(), style.outlineStyle].join(": ");
        })()`),
      );
    }
    const names = ["Skip to the content", "Use dark colours", "Rates as a table", "Load"];
    names.push("Shards as a table", "Shards as a table", "The last minutes as a table");
    names.push("Events", "Filter the groups by name, leader or state", "Groups");
    expect(focused).toEqual(names.map((name) => `${name}: solid`));
    // A person who wants no movement gets none.
    const features = [{ name: "prefers-reduced-motion", value: "reduce" }];
    await page.send("Emulation.setEmulatedMedia", { features });
    const moves = `getComputedStyle(document.querySelector(".shard")).transitionDuration`;
    expect(await page.evaluate(moves)).toBe("0s");
  });

  test("landmarks, headings and names are there for screen readers", async () => {
    const node = await openNode(QUICK);
    await fill(node);
    const { url } = await node.fleet.dashboard({ port: 0 });
    const page = await browser.open(url, 1280, 900);
    await shows(page, ".keyspace .meta", /200 keys/);
    await page.send("Accessibility.enable");
    const { nodes } = (await page.send("Accessibility.getFullAXTree")) as {
      nodes: { role?: { value: string }; name?: { value: string }; ignored: boolean }[];
    };
    const seen = nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name }) => [role?.value ?? "", name?.value ?? ""] as const);
    const named = (role: string) => seen.filter(([one]) => one === role).map(([, name]) => name);
    for (const landmark of ["banner", "main", "contentinfo", "status"]) {
      expect(named(landmark), landmark).toHaveLength(1);
    }
    expect(new Set(named("heading"))).toEqual(
      new Set([
        ...["raft-kv", "Rates and latencies of this node's program", "Keyspaces", "kv", "Nodes"],
        ...["zone", "Events", "Groups and their leaders"],
      ]),
    );
    expect(named("table")).toContain("Shards of kv");
    const pictures = named("image").concat(named("img"));
    expect(pictures.some((name) => name.startsWith("Hash range of kv: "))).toBe(true);
    expect(pictures.some((name) => name.startsWith("Load of kv over"))).toBe(true);
    for (const role of ["image", "img", "button", "searchbox", "region", "radio", "table"]) {
      expect(
        named(role).filter((name) => name === ""),
        role,
      ).toEqual([]);
    }
  });
});
