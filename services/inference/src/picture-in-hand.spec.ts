import { PictureInHand } from './picture-in-hand';

const GRACE_MS = 40_000;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** A picture of 20 steps, of which so many took so long each. */
function drawn(steps: number, stepMs: number): { picture: PictureInHand; stop: AbortController } {
  const stop = new AbortController();
  const picture = new PictureInHand(20, GRACE_MS, stop.signal);
  for (let step = 1; step <= steps; step++) {
    jest.advanceTimersByTime(stepMs);
    picture.step(step);
  }
  return { picture, stop };
}

describe('a picture in hand when its service is to stop', () => {
  it('goes on where what is left of it fits the grace, and is put down when it did not after all', () => {
    const { picture, stop } = drawn(5, 2000);
    stop.abort();
    jest.advanceTimersByTime(GRACE_MS - 1);
    expect(picture.signal.aborted).toBe(false);
    jest.advanceTimersByTime(1);
    expect(picture.signal.aborted).toBe(true);
  });

  it.each([
    ['would take longer', 5, 2500],
    ['has not begun', 0, 0],
  ])('is put down at once where it %s', (_what, steps, stepMs) => {
    const { picture, stop } = drawn(steps, stepMs);
    stop.abort();
    expect(picture.signal.aborted).toBe(true);
  });

  it('that was stopped before it began is not begun, and one that is done hears of no stop', () => {
    expect(new PictureInHand(20, GRACE_MS, AbortSignal.abort()).signal.aborted).toBe(true);
    const { picture, stop } = drawn(20, 100_000);
    picture.close();
    stop.abort();
    expect(picture.signal.aborted).toBe(false);
  });
});
