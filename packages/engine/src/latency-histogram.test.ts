import { expect, test } from 'vitest';
import { LATENCY_BOUNDS_MS, LatencyHistogram, WORK_BOUNDS_MS } from './latency-histogram.ts';

test('each duration is counted in the bucket whose bound it does not pass', () => {
  const histogram = new LatencyHistogram();
  for (const ms of [0, 0.1, 0.11, 1, 4.9, 5000, 5001, 1e9]) histogram.note(ms);
  const { boundsMs, counts, sumMs, maxMs } = histogram.stats();
  expect(boundsMs).toBe(LATENCY_BOUNDS_MS);
  expect(counts).toHaveLength(boundsMs.length + 1);
  const countOf = (ms: number): number | undefined => counts[boundsMs.indexOf(ms)];
  expect([countOf(0.1), countOf(0.2), countOf(1), countOf(5), countOf(5000)]).toEqual([
    2, 1, 1, 1, 1,
  ]);
  expect(counts.at(-1)).toBe(2);
  expect(sumMs).toBeCloseTo(0.1 + 0.11 + 1 + 4.9 + 5000 + 5001 + 1e9, 3);
  expect(maxMs).toBe(1e9);
});

test('work in the background has bounds of its own', () => {
  const histogram = new LatencyHistogram(WORK_BOUNDS_MS);
  for (const ms of [0.5, 60_000, 100_001]) histogram.note(ms);
  const { boundsMs, counts } = histogram.stats();
  expect(boundsMs).toBe(WORK_BOUNDS_MS);
  expect([counts[0], counts[boundsMs.indexOf(100_000)], counts.at(-1)]).toEqual([1, 1, 1]);
});

test('a clock that ran backwards is no duration, and what was handed out does not change', () => {
  const histogram = new LatencyHistogram();
  const before = histogram.stats();
  histogram.note(-5);
  expect(histogram.stats()).toMatchObject({ sumMs: 0, maxMs: 0 });
  expect(histogram.stats().counts[0]).toBe(1);
  expect(before.counts[0]).toBe(0);
});
