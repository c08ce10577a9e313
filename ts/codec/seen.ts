/** Which objects one encoding has met, so that shared references and cycles stay what they are. */

const FIRST = 8;
const NOTHING: object = {};

/** Numbers objects in the order in which they are met. The first few cost no table. */
export class SeenObjects {
  /** A second meeting took place. */
  shared = false;
  private count = 0;
  private readonly first: object[] = new Array<object>(FIRST).fill(NOTHING);
  private rest: Map<object, number> | null = null;

  /** The number of an object that was met before; else notes it and returns -1. */
  meet(object: object): number {
    const count = this.count;
    const first = this.first;
    const few = Math.min(count, FIRST);
    for (let i = 0; i < few; i++) {
      if (first[i] === object) return this.again(i);
    }
    if (count < FIRST) {
      first[count] = object;
    } else {
      this.rest ??= new Map();
      const number = this.rest.get(object);
      if (number !== undefined) return this.again(number);
      this.rest.set(object, count);
    }
    this.count = count + 1;
    return -1;
  }

  /** Forgets all objects, and does not keep them alive. */
  clear(): void {
    const few = Math.min(this.count, FIRST);
    for (let i = 0; i < few; i++) this.first[i] = NOTHING;
    this.count = 0;
    this.rest = null;
    this.shared = false;
  }

  private again(number: number): number {
    this.shared = true;
    return number;
  }
}
