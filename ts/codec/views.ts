/** The kinds of views on bytes and of errors, numbered for the encoding: only ever appended to. */

type ViewMaker = new (buffer: ArrayBuffer) => ArrayBufferView;

/** Constructors of views; the index is what is encoded. */
export const VIEWS: readonly { name: string; make: ViewMaker; unit: number }[] = [
  { name: "DataView", make: DataView, unit: 1 },
  { name: "Int8Array", make: Int8Array, unit: 1 },
  { name: "Uint8ClampedArray", make: Uint8ClampedArray, unit: 1 },
  { name: "Int16Array", make: Int16Array, unit: 2 },
  { name: "Uint16Array", make: Uint16Array, unit: 2 },
  { name: "Int32Array", make: Int32Array, unit: 4 },
  { name: "Uint32Array", make: Uint32Array, unit: 4 },
  { name: "Float32Array", make: Float32Array, unit: 4 },
  { name: "Float64Array", make: Float64Array, unit: 8 },
  { name: "BigInt64Array", make: BigInt64Array, unit: 8 },
  { name: "BigUint64Array", make: BigUint64Array, unit: 8 },
];

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get;

/** The number of a view's kind, or -1 for one that is not known. */
export function viewKind(view: ArrayBufferView): number {
  const name: unknown = typedArrayTag?.call(view) ?? "DataView";
  return VIEWS.findIndex((kind) => kind.name === name);
}

/** Constructors of errors; the index is what is encoded. */
export const ERRORS: readonly ErrorConstructor[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];

/** The number of an error's kind by its name; any other name is a plain Error. */
export function errorKind(name: unknown): number {
  return Math.max(
    0,
    ERRORS.findIndex((kind) => kind.name === name),
  );
}
