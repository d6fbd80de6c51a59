import { describe, expect, test } from 'vitest';

import { renderReport, verdictOn, WAYS_IN } from './lab-report.ts';
import type { AccidentResult, LabReport, WayResult, WaySeen } from './lab-report.ts';
import { LINE_WIDTH_MAX } from './limits.ts';
import type { Audit } from './records.ts';

const good: Audit = {
  expectedCount: 300,
  intactCount: 300,
  lostCount: 0,
  staleCount: 0,
  damagedCount: 0,
  intruderCount: 0,
};
const bad: Audit = { ...good, intactCount: 100, lostCount: 150, damagedCount: 50 };
const words = { second: 'was started', first: 'wrote on', data: 'as it is' };

function accident(store: string, outcome: 'destroyed' | 'intact' = 'destroyed'): AccidentResult {
  const audit = outcome === 'intact' ? good : bad;
  return { store, outcome, ...words, audit, auditBefore: audit };
}

function ways(change: Partial<Record<(typeof WAYS_IN)[number], object>> = {}): WayResult[] {
  const intact = { outcome: 'intact', ...words, audit: good, damageCount: 0, harmlessCount: 0 };
  return WAYS_IN.map((way) => ({ way, ...intact, ...change[way] }) as WayResult);
}

const accidents = [accident('naive store'), accident('LevelDB')];
const whole: LabReport = { accidents, ways: ways() };

describe('the verdict', () => {
  test('is good only when the naive store was destroyed and Dozo is intact in all six', () => {
    expect(verdictOn(whole)).toEqual({
      status: 0,
      text: 'naive store destroyed, LevelDB destroyed; Dozo intact in all six ways in.',
    });
  });

  test('does not need LevelDB, which may not be installed', () => {
    const absent: AccidentResult = { store: 'LevelDB', outcome: 'not played', reason: 'absent' };
    expect(verdictOn({ ...whole, accidents: [accident('naive store'), absent] }).status).toBe(0);
  });

  test('names the way in by which Dozo was damaged, whatever else happened', () => {
    const outcome = { outcome: 'damaged', audit: bad };
    const { status, text } = verdictOn({
      accidents: [accident('naive store', 'intact')],
      ways: ways({ 'every lock off': outcome, 'same path': { outcome: 'broken off' } }),
    });
    expect(status).toBe(5);
    expect(text).toContain('DOZO DAMAGED (every lock off)');
  });

  test('is not good when the accident did not happen', () => {
    const lucky = [accident('naive store', 'intact'), accident('LevelDB')];
    expect(verdictOn({ ...whole, accidents: lucky }).status).toBe(1);
  });

  test('is not good when a part was broken off', () => {
    const broken = { outcome: 'broken off', reason: 'no room' };
    const inWays = verdictOn({ ...whole, ways: ways({ 'same path': broken }) });
    expect(inWays.status).toBe(1);
    expect(inWays.text).toContain('same path');
    const level = { store: 'LevelDB', ...broken } as AccidentResult;
    expect(verdictOn({ ...whole, accidents: [accident('naive store'), level] }).status).toBe(1);
  });

  test('is not good when the control survived', () => {
    const [survivor] = ways();
    const [damaged] = ways({ 'same path': { outcome: 'damaged', audit: bad } });
    expect(verdictOn({ ...whole, control: survivor as WaySeen }).status).toBe(1);
    expect(verdictOn({ ...whole, control: damaged as WaySeen }).status).toBe(0);
    expect(renderReport({ ...whole, control: damaged as WaySeen })).toContain('control');
  });

  test('has a status of its own when this user could not play all six', () => {
    const reason = { outcome: 'not played', reason: 'it needs root' };
    const { status, text } = verdictOn({
      ...whole,
      ways: ways({ 'device node made again with mknod': reason }),
    });
    expect(status).toBe(6);
    expect(text).toContain('5 of 6');
  });
});

test('the table has a row for every store and every way in, and no line is too long', () => {
  const table = renderReport(whole);
  for (const title of ['naive store', 'LevelDB', 'same path', 'every lock off']) {
    expect(table).toContain(title);
  }
  const widths = table.split('\n').map((line) => line.length);
  expect(Math.max(...widths)).toBe(LINE_WIDTH_MAX);
});
