/** What is printed: text, JSON and tables that fit the terminal, in colours where there is one. */
import type { WriteStream } from "node:tty";

const COLOURS = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;
/** Columns of a terminal that does not say how many it has. */
const WIDTH_DEFAULT = 80;
/** Characters of a column that is cut, at least. */
const CUT_MIN = 8;

/** A colour, or a weight. */
export type Colour = keyof typeof COLOURS;

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly right?: boolean;
  /** Is it never cut? */
  readonly whole?: boolean;
  readonly colour?: (row: Row) => Colour | undefined;
}

/** See the head of this file. */
export class Screen {
  readonly isTerminal: boolean;
  private readonly colours: boolean;
  private readonly output: NodeJS.WriteStream;

  constructor(output: NodeJS.WriteStream, environment: NodeJS.ProcessEnv) {
    this.output = output;
    this.isTerminal = output.isTTY === true;
    const plain = (environment.NO_COLOR ?? "") !== "" || environment.TERM === "dumb";
    this.colours = this.isTerminal && !plain;
  }

  /** Columns of the terminal; what goes into a file or program is never cut. */
  get width(): number {
    if (!this.isTerminal) return Number.POSITIVE_INFINITY;
    return (this.output as WriteStream).columns || WIDTH_DEFAULT;
  }

  /** Prints a line. */
  line(text = ""): void {
    this.output.write(`${text}\n`);
  }

  /** Prints a document for programs. */
  json(document: unknown): void {
    this.line(JSON.stringify(document, null, 2));
  }

  /** A text in a colour. */
  paint(text: string, colour: Colour | undefined): string {
    if (!this.colours || colour === undefined) return text;
    return `\u001b[${COLOURS[colour]}m${text}\u001b[0m`;
  }

  /** Prints a table; `nothing` where it has no rows. */
  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], nothing: string): void {
    if (rows.length === 0) this.line(this.paint(nothing, "dim"));
    else for (const line of this.lines(columns, rows)) this.line(line);
  }

  /** Draws lines over the last ones that were drawn; without a terminal, below them. */
  redraw(lines: readonly string[], before: number): void {
    if (!this.isTerminal) {
      for (const line of lines) this.line(line);
      return;
    }
    const up = before > 0 ? `\u001b[${before}A` : "";
    this.output.write(`${up}\u001b[0J${lines.map((line) => `${line}\n`).join("")}`);
  }

  /** The lines of a table, its titles first. */
  lines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
    const cells = rows.map((row) => columns.map(({ value }) => value(row)));
    const widths = this.widths(
      columns.map(({ title }, at) =>
        Math.max(title.length, ...cells.map((line) => (line[at] as string).length)),
      ),
      (at) => columns[at]?.whole !== true,
    );
    const fitted = (text: string, at: number) => {
      const width = widths[at] as number;
      const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text;
      if (columns[at]?.right) return cut.padStart(width);
      return at === columns.length - 1 ? cut : cut.padEnd(width);
    };
    const titles = columns.map(({ title }, at) => fitted(title, at)).join("  ");
    const lines = cells.map((line, row) =>
      line
        .map((cell, at) => {
          const colour = columns[at]?.colour?.(rows[row] as Row);
          return this.paint(fitted(cell, at), colour);
        })
        .join("  "),
    );
    return [this.paint(titles, "dim"), ...lines];
  }

  /** Takes from the widest columns what does not fit. */
  private widths(wanted: readonly number[], mayCut: (at: number) => boolean): number[] {
    const widths = [...wanted];
    const total = () => widths.reduce((sum, width) => sum + width + 2, -2);
    for (let over = total() - this.width; over > 0; over--) {
      const widest = Math.max(...widths.filter((_, at) => mayCut(at)));
      if (widest <= CUT_MIN) break;
      widths[widths.findIndex((width, at) => width === widest && mayCut(at))] = widest - 1;
    }
    return widths;
  }
}
