import { expect, it } from 'vitest';

import { formatDuration, parseDurationMs } from './durations.ts';

it.each([
  ['500ms', 500],
  ['1s', 1_000],
  ['1.5s', 1_500],
  ['2m', 120_000],
])('reads %s, and writes it as short as it can be', (text, durationMs) => {
  expect(parseDurationMs(text)).toBe(durationMs);
  expect(parseDurationMs(formatDuration(durationMs))).toBe(durationMs);
});

it.each(['', '5', 's', '-1s', '1h', '0s', '0.5ms', '1 s', '1e3ms', '99999999999s'])(
  'takes %j for no duration',
  (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  },
);
