/** A table whose rows stay where they are while their figures change. */
import { Keyed, look, make, say } from "./dom.ts";

/** A column; the first one heads its row. */
export interface Column<Row> {
  readonly title: string;
  readonly kind?: "number" | "mono" | "long";
  /** The text of the cell, */
  readonly text?: (row: Row) => string;
  /** or what fills it. */
  readonly fill?: (cell: HTMLElement, row: Row) => void;
}

interface RowPart {
  readonly element: HTMLElement;
  readonly cells: readonly HTMLElement[];
}

/** See the head of this file. */
export class Table<Row> {
  readonly element: HTMLTableElement;
  private readonly columns: readonly Column<Row>[];
  private readonly rows: Keyed<Row, RowPart>;

  constructor(caption: string, columns: readonly Column<Row>[]) {
    this.columns = columns;
    const titles = columns.map(({ title, kind }) =>
      make("th", { text: title, class: kind ?? "", attributes: { scope: "col" } }),
    );
    const body = make("tbody");
    this.element = make("table", {}, [
      make("caption", { class: "unseen", text: caption }),
      make("thead", {}, [make("tr", {}, titles)]),
      body,
    ]);
    this.rows = new Keyed(body, () => this.row());
  }

  /** Shows these rows. */
  update(rows: readonly Row[], keyOf: (row: Row) => string): void {
    this.rows.update(rows, keyOf, ({ cells }, row) => {
      for (const [at, { text, fill }] of this.columns.entries()) {
        const cell = cells[at];
        if (cell === undefined) continue;
        if (fill !== undefined) fill(cell, row);
        else if (text !== undefined) say(cell, text(row));
      }
    });
  }

  private row(): RowPart {
    const cells = this.columns.map(({ kind = "" }, at) =>
      at === 0
        ? make("th", { class: kind, attributes: { scope: "row" } })
        : make("td", { class: kind }),
    );
    return { element: make("tr", {}, cells), cells };
  }
}

/** Fills a cell with a state: a word and a shape. */
export function fillState(cell: HTMLElement, text: string, level: string): void {
  const state = cell.firstElementChild ?? cell.appendChild(make("span"));
  say(state, text);
  look(state, `state ${level}`);
}
