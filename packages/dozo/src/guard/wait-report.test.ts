import { expect, it } from 'vitest';

import { WAIT_REPORT_MS } from './limits.ts';
import { WaitReport } from './wait-report.ts';

it('tells each change at once, the same only from time to time, and for how long it has waited', () => {
  let nowMs = 0;
  const lines: string[] = [];
  const report = new WaitReport({ nowMs: () => nowMs, say: (line) => lines.push(line) });
  for (nowMs = 0; nowMs < 2 * WAIT_REPORT_MS; nowMs += 1_000) report.tell('a', () => 'held by a');
  expect(lines).toEqual(['held by a', 'held by a (waiting for 30 s)']);
  report.tell('b', () => 'held by b');
  report.tell('b', () => 'held by b');
  expect(lines.slice(2)).toEqual(['held by b (waiting for 60 s)']);
});
