import { describe, expect, test } from "vitest";
import { Requests } from "../../ts/client/requests.ts";

describe("requests", () => {
  test("every request is taken once, however many are in flight", () => {
    const requests = new Requests<never>();
    const got: number[] = [];
    const count = 20_000;
    for (let at = 1; at <= count; at++) requests.add(() => got.push(at));
    expect(requests.fast).toBe(count);
    for (let at = count; at >= 1; at--) {
      requests.take(at)?.(undefined);
      expect(requests.take(at)).toBeUndefined();
    }
    expect(got.length).toBe(count);
    expect(new Set(got).size).toBe(count);
    expect(requests.acknowledged()).toBe(count + 1);
  });

  test("the acknowledgement stops at the lowest unsettled request, fast or slow", () => {
    const requests = new Requests<string>();
    for (let at = 0; at < 5; at++) requests.add(() => {});
    requests.addSlow("six");
    requests.add(() => {});
    expect(requests.acknowledged()).toBe(1);
    for (const request of [1, 2, 4, 5, 7]) requests.take(request);
    expect(requests.acknowledged()).toBe(3);
    requests.take(3);
    expect(requests.acknowledged()).toBe(6);
    requests.slow.delete(6);
    expect(requests.acknowledged()).toBe(8);
  });

  test("a slow request's number finds nobody else's resolver, however many are in flight", () => {
    const requests = new Requests<string>();
    for (let at = 1; at <= 10_000; at++) requests.add(() => {});
    for (let at = 10_001; at <= 40_000; at++) {
      requests.addSlow("slow");
      expect(requests.take(at)).toBeUndefined();
    }
    expect(requests.fast).toBe(10_000);
  });

  test("one request that stays does not mix up the later ones when the ring grows", () => {
    const requests = new Requests<never>();
    const seen: number[] = [];
    requests.add(() => seen.push(1));
    for (let at = 2; at <= 30_000; at++) {
      requests.add(() => seen.push(at));
      if (at % 3 !== 0) requests.take(at)?.(undefined);
    }
    const left: number[] = [];
    requests.drain((request) => left.push(request));
    expect(left.filter((request) => request % 3 !== 0)).toEqual([1]);
    expect(left.length + seen.length).toBe(30_000);
  });
});
