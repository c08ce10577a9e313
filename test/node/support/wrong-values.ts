/** Values of every kind, for arguments that take only some of them. */

function throwingProxy(): object {
  const refuse = () => {
    throw new Error("the proxy refuses");
  };
  const handler = new Proxy({}, { get: () => refuse }) as ProxyHandler<object>;
  return new Proxy({}, handler);
}

/** One of each kind, by a name for messages. Made anew each time, so that no test spoils another. */
export function wrongValues(): ReadonlyMap<string, unknown> {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const cycle: unknown[] = [];
  cycle.push(cycle);
  return new Map<string, unknown>([
    ["undefined", undefined],
    ["null", null],
    ["true", true],
    ["0", 0],
    ["-1", -1],
    ["1.5", 1.5],
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["2 ** 60", 2 ** 60],
    ["bigint", 10n],
    ["empty text", ""],
    ["text", "some text"],
    ["text with a zero", "a\0b"],
    ["lone surrogate", "\ud800"],
    ["long text", "x".repeat(100_000)],
    ["symbol", Symbol("s")],
    ["function", () => 1],
    ["async function", async () => 1],
    ["class", class {}],
    ["empty object", {}],
    ["object without prototype", Object.create(null)],
    ["array", []],
    ["cyclic array", cycle],
    ["date", new Date()],
    ["map", new Map()],
    ["bytes", new Uint8Array(4)],
    ["error", new Error("as a value")],
    ["promise", Promise.resolve(1)],
    ["weak map", new WeakMap()],
    ["throwing getter", Object.defineProperty({}, "dataDir", { get: throwIt, enumerable: true })],
    ["throwing toString", { toString: throwIt, valueOf: throwIt, [Symbol.toPrimitive]: throwIt }],
    ["throwing proxy", throwingProxy()],
    ["revoked proxy", revoked.proxy],
  ]);
}

function throwIt(): never {
  throw new Error("this value refuses to be looked at");
}
