/**
 * A real Chromium without a window, spoken to by its debugging protocol over two pipes: what a test
 * needs of a browser takes no more than this.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
/** As root there is no sandbox to be had; the pages that are opened are our own. */
const FLAGS = [
  ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  ...["--no-first-run", "--disable-extensions", "--disable-background-networking"],
  "--remote-debugging-pipe",
];

type Json = Record<string, unknown>;

/** Where a Chromium is on this machine: `RAFT_KV_TEST_CHROMIUM`, else the first on the path. */
export function findChromium(): string | undefined {
  const { RAFT_KV_TEST_CHROMIUM: named, PATH = "" } = process.env;
  const places = PATH.split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return (named ? [named] : places).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** See the head of this file. */
export class Chromium {
  private readonly child: ChildProcess;
  private readonly profile: string;
  private readonly answers = new Map<number, (answer: Json) => void>();
  private readonly pages = new Map<string, Page>();
  private number = 0;
  private rest = "";
  private ended = false;

  private constructor(path: string) {
    this.profile = mkdtempSync(join(tmpdir(), "raft-kv-chromium-"));
    const args = [...FLAGS, `--user-data-dir=${this.profile}`, "about:blank"];
    this.child = spawn(path, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    const output = this.child.stdio[4] as Readable;
    output.setEncoding("utf8").on("data", (text: string) => this.take(text));
    (this.child.stdio[3] as Writable).on("error", () => undefined);
    this.child.on("error", () => this.gone());
    this.child.on("exit", () => this.gone());
  }

  /** Starts it. Rejects when it does not start: some systems have a name for it and no more. */
  static async start(path: string): Promise<Chromium> {
    const started = new Chromium(path);
    try {
      await started.send("Browser.getVersion");
      return started;
    } catch (error) {
      await started.close();
      throw error;
    }
  }

  /** Opens a page of so many pixels, and goes to an address. */
  async open(url: string, width: number, height: number): Promise<Page> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const attach = { targetId, flatten: true };
    const { sessionId } = await this.send("Target.attachToTarget", attach);
    const page = new Page((method, given) => this.send(method, given, sessionId as string));
    this.pages.set(sessionId as string, page);
    for (const area of ["Page", "Runtime", "Network", "Log"]) await page.send(`${area}.enable`);
    await page.resize(width, height);
    await page.send("Page.navigate", { url });
    return page;
  }

  /** Ends it, and removes what it wrote. */
  async close(): Promise<void> {
    if (!this.ended) {
      const ended = new Promise((resolve) => this.child.once("exit", resolve));
      this.child.kill("SIGKILL");
      await ended;
    }
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10 });
  }

  private send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    if (this.ended) return Promise.reject(new Error("Chromium has ended"));
    const id = ++this.number;
    const text = JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) });
    (this.child.stdio[3] as Writable).write(`${text}\0`);
    return new Promise((resolve, reject) => {
      this.answers.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result as Json);
        else reject(new Error(`${method}: ${JSON.stringify(error)}`));
      });
    });
  }

  private take(text: string): void {
    const messages = (this.rest + text).split("\0");
    this.rest = messages.pop() ?? "";
    for (const message of messages) {
      const { id, sessionId, method, params, ...answer } = JSON.parse(message) as Json;
      if (typeof id === "number") {
        this.answers.get(id)?.(answer);
        this.answers.delete(id);
      } else {
        this.pages.get(sessionId as string)?.happened(method as string, params as Json);
      }
    }
  }

  private gone(): void {
    this.ended = true;
    for (const answer of this.answers.values()) answer({ error: "Chromium has ended" });
    this.answers.clear();
  }
}

/** A page that is open. */
export class Page {
  readonly send: (method: string, given?: Json) => Promise<Json>;
  /** Every address that it asked for. */
  readonly requests: string[] = [];
  /** Errors that were thrown or written to its console. */
  readonly errors: string[] = [];

  constructor(send: (method: string, given?: Json) => Promise<Json>) {
    this.send = send;
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const given = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", given);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  }

  /** What is read of an element; nothing of one that is hidden. */
  text(selector: string): Promise<string> {
    return this.evaluate(`(() => {
      const found = document.querySelector(${JSON.stringify(selector)});
      return found?.checkVisibility() ? found.innerText : "";
    })()`);
  }

  async resize(width: number, height: number): Promise<void> {
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await this.send("Emulation.setDeviceMetricsOverride", metrics);
  }

  /** Has the page believe that the system prefers these colours. */
  async prefer(scheme: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  /** Presses a key, as a person does. */
  async press(key: string, code = key): Promise<void> {
    for (const type of ["keyDown", "keyUp"]) {
      await this.send("Input.dispatchKeyEvent", { type, key, code });
    }
  }

  /** The whole page as a PNG. */
  async screenshot(): Promise<Buffer> {
    const whole = { format: "png", captureBeyondViewport: true };
    const { data } = await this.send("Page.captureScreenshot", whole);
    return Buffer.from(data as string, "base64");
  }

  /** @internal */
  happened(method: string, params: Json): void {
    if (method === "Network.requestWillBeSent") {
      this.requests.push((params.request as { url: string }).url);
    } else if (method === "Runtime.exceptionThrown") {
      this.errors.push(JSON.stringify(params.exceptionDetails));
    } else if (method === "Log.entryAdded") {
      const { level, text } = params.entry as { level: string; text: string };
      if (level === "error") this.errors.push(text);
    }
  }
}
