import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { timeTicks } from './time-axis.ts';

const T = Date.UTC(2026, 10, 22, 18, 0, 0);
const DAY = 86_400_000;
const labels = (fromMs: number, toMs: number): readonly string[] =>
  timeTicks(fromMs, toMs, 8).map(({ label, context }) => `${label}|${context}`);

describe('ticks of a time axis', () => {
  it.each([
    ['milliseconds', T, T + 12, ['18:00:00.000|22 Nov 2026', '18:00:00.002|']],
    ['seconds', T + 300, T + 70_000, ['18:00:10|22 Nov 2026', '18:00:20|']],
    ['minutes, over midnight', T + DAY / 4 - 600_000, T + DAY / 4 + 600_000, undefined],
    ['days', T, T + 11 * DAY, ['23 Nov|2026', '25 Nov|']],
    ['months', T, T + 800 * DAY, ['Jan|2027', 'Jul|']],
    ['years', T, T + 9000 * DAY, ['2030|', '2035|']],
  ])('are at times that people would choose: %s', (_, fromMs, toMs, expected) => {
    const found = labels(fromMs, toMs);
    if (expected !== undefined) expect(found.slice(0, 2)).toEqual(expected);
    else expect(found).toContain('00:00|23 Nov 2026');
  });

  it('are few, in order, apart from each other and inside of the span, however long it is', () => {
    const span = fc.tuple(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 2, max: 1e13 }));
    fc.assert(
      fc.property(span, ([fromMs, lengthMs]) => {
        const ticks = timeTicks(fromMs, fromMs + lengthMs, 8).map(({ wallMs }) => wallMs);
        expect(ticks.length).toBeLessThanOrEqual(8);
        expect(ticks.every((at) => at >= fromMs && at <= fromMs + lengthMs)).toBe(true);
        expect(ticks).toEqual([...new Set(ticks)].sort((left, right) => left - right));
      }),
    );
  });
});
