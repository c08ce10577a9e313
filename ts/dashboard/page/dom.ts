/** Makes and changes elements; what is the same stays untouched, for readers and for focus. */

/** What an element is made with. */
export interface Made {
  readonly class?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** An element of the page's own HTML. */
export function part<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found as T;
}

/** A new element. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  made: Made = {},
  children: readonly (Node | string)[] = [],
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (made.class !== undefined) element.className = made.class;
  if (made.text !== undefined) element.textContent = made.text;
  for (const [key, value] of Object.entries(made.attributes ?? {})) {
    element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** A new element of SVG. */
export function draw(
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: readonly Node[] = [],
): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Sets a text unless it is there. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute unless it is there. */
export function label(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Sets the classes unless they are there. */
export function look(element: Element, classes: string): void {
  label(element, "class", classes);
}

/** Lets an element scroll, with the keyboard too, under a name that readers tell. */
export function scrolls(element: HTMLElement, name: string): void {
  element.classList.add("scroll", "tall");
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", name);
  element.tabIndex = 0;
}

/** Elements that belong to items by a key: made once, changed in place, in the items' order. */
export class Keyed<Item, Part extends { readonly element: HTMLElement }> {
  private readonly parts = new Map<string, Part>();
  private readonly container: HTMLElement;
  private readonly create: (item: Item) => Part;

  constructor(container: HTMLElement, create: (item: Item) => Part) {
    this.container = container;
    this.create = create;
  }

  /** Brings the elements to the items; `change` fills each. */
  update(
    items: readonly Item[],
    keyOf: (item: Item) => string,
    change: (part: Part, item: Item) => void,
  ): void {
    const gone = new Set(this.parts.keys());
    let before: Element | null = this.container.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      gone.delete(key);
      let found = this.parts.get(key);
      if (found === undefined) {
        found = this.create(item);
        this.parts.set(key, found);
      }
      if (found.element === before) before = before.nextElementSibling;
      else this.container.insertBefore(found.element, before);
      change(found, item);
    }
    for (const key of gone) {
      this.parts.get(key)?.element.remove();
      this.parts.delete(key);
    }
  }
}
