import { afterEach, expect, test, vi } from "vitest";
import { CallClock } from "../../ts/client/call-clock.ts";

afterEach(() => vi.useRealTimers());

test("the time in which the event loop is held up does not count", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const clock = new CallClock(50);
  clock.start();
  const begun = clock.now();
  vi.advanceTimersByTime(60);
  expect(clock.tick() - begun).toBe(60);
  vi.advanceTimersByTime(7_050);
  expect(clock.tick() - begun).toBe(110);
  vi.advanceTimersByTime(50);
  expect(clock.now() - begun).toBe(160);
});

test("time before the ticks begin is not taken for a held-up loop", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const clock = new CallClock(50);
  vi.advanceTimersByTime(10_000);
  clock.start();
  vi.advanceTimersByTime(50);
  expect(clock.tick()).toBe(performance.now());
});
