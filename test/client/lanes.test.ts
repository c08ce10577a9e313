/** Who waits for whom among the requests on one key. */
import { expect, test } from "vitest";
import { DEFAULT_CALL } from "../../ts/client/call.ts";
import { Lanes } from "../../ts/client/lanes.ts";
import { putBehind, type SlowRequest, slowRequest } from "../../ts/client/slow-request.ts";
import { RECORD } from "../../ts/native/frames.ts";

const HOME = 1;
const ELSEWHERE = 2;

function request(number: number, key = "k"): SlowRequest {
  const record = new Uint8Array(RECORD.headerBytes + key.length);
  new DataView(record.buffer).setUint32(RECORD.key * 4, key.length, true);
  record.set(Buffer.from(key), RECORD.headerBytes);
  return slowRequest(number, record, HOME, () => undefined, DEFAULT_CALL);
}

/** A request that waits for its turn. */
function behind(lanes: Lanes, state: SlowRequest): SlowRequest {
  lanes.enter(state);
  putBehind(state, 0);
  return state;
}

const numbers = (states: readonly SlowRequest[]) => states.map((state) => state.request);

test("what waits leaves in the order of its numbers, and the lane with the last", () => {
  const lanes = new Lanes();
  expect(lanes.join(request(4))).toBe(false);
  for (const number of [9, 2, 5]) behind(lanes, request(number));
  expect(lanes.join(request(6, "other"))).toBe(false);
  expect(numbers(lanes.next(request(2)))).toEqual([2, 5, 9]);
  expect(lanes.empty).toBe(true);
});

test("those behind one that waits for its time stay", () => {
  const lanes = new Lanes();
  const first = request(1);
  expect(lanes.enter(first)).toEqual({ isFirst: true, second: undefined });
  behind(lanes, request(2));
  expect(lanes.next(first)).toEqual([]);
  putBehind(first, 0);
  expect(numbers(lanes.next(first))).toEqual([1, 2]);
});

test("an earlier one that begins to wait makes the one that waited for its time wait for its turn", () => {
  const lanes = new Lanes();
  const later = request(5);
  lanes.enter(later);
  expect(lanes.enter(request(3))).toEqual({ isFirst: true, second: later });
});

test("what is under way lets earlier ones go, and later ones wait", () => {
  const lanes = new Lanes();
  const [one, two, three] = [request(1), request(2), request(3)];
  lanes.fence(two);
  behind(lanes, three);
  behind(lanes, one);
  expect(numbers(lanes.next(one))).toEqual([1]);
  expect(lanes.leave(two)).toBe(true);
  // The first was sent while there was a lane: later ones wait for it as well.
  expect(lanes.next(one)).toEqual([]);
  expect(lanes.leave(one)).toBe(true);
  expect(numbers(lanes.next(three))).toEqual([3]);
  expect(lanes.empty).toBe(true);
});

test("those that go by another route wait until the ones before are settled", () => {
  const lanes = new Lanes();
  const states = [1, 2, 3, 4].map((number) => behind(lanes, request(number)));
  const [one, two, three] = states as [SlowRequest, SlowRequest, SlowRequest];
  three.route = ELSEWHERE;
  expect(numbers(lanes.next(one))).toEqual([1, 2]);
  expect(lanes.join(request(5))).toBe(true);
  lanes.leave(two);
  expect(lanes.next(two)).toEqual([]);
  lanes.leave(one);
  expect(numbers(lanes.next(one))).toEqual([3]);
});
