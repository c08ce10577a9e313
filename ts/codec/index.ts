/** The codec's public face: keys and values to bytes and back. */

export {
  isShortTextKey,
  type Key,
  type KeyIdentity,
  keyIdentity,
  readKey,
  writeKey,
} from "./key.ts";
export { Reader } from "./reader.ts";
export { checkStorable } from "./storable.ts";
export {
  comparableText,
  copyValue,
  decodeValue,
  encodeValue,
  isEncoding,
  isPrimitive,
  readValue,
  writeComparableValue,
  writeValue,
  writeValueLenient,
} from "./value.ts";
export { Writer } from "./writer.ts";
