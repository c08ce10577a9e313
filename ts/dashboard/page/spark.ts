/** A small line of the last minutes, beside the number that says it. */
import { draw, label } from "./dom.ts";

const WIDTH = 100;
const HEIGHT = 28;

/** See the head of this file. */
export class Spark {
  readonly element: SVGElement;
  private readonly line = draw("path", {});
  private readonly area = draw("path", { class: "area" });

  constructor() {
    const viewBox = `0 0 ${WIDTH} ${HEIGHT}`;
    this.element = draw(
      "svg",
      { class: "spark", viewBox, preserveAspectRatio: "none", "aria-hidden": "true" },
      [this.area, this.line],
    );
  }

  /** Draws values in order of time; those that are `null` are not there. */
  update(values: readonly (number | null)[]): void {
    const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
    const step = WIDTH / Math.max(1, values.length - 1);
    let line = "";
    let area = "";
    let run: string[] = [];
    const close = () => {
      if (run.length === 0) return;
      const first = run[0]?.split(" ")[0];
      const last = run.at(-1)?.split(" ")[0];
      line += `M${run.join("L")}`;
      area += `M${first} ${HEIGHT}L${run.join("L")}L${last} ${HEIGHT}Z`;
      run = [];
    };
    for (const [at, value] of values.entries()) {
      if (value === null) close();
      else {
        const y = HEIGHT - 1 - (value / most) * (HEIGHT - 2);
        run.push(`${(at * step).toFixed(1)} ${y.toFixed(1)}`);
      }
    }
    close();
    label(this.line, "d", line);
    label(this.area, "d", area);
  }
}
