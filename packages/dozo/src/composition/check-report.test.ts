import { describe, expect, it } from 'vitest';

import { DAMAGES_PRINTED_MAX } from '../limits.ts';
import { checkText, reportCheck, reportCorrupt } from './check-report.ts';

const damage = { segment: 3, offset: 4096, sizeBytes: 2048, reason: 'the checksum is wrong' };
const named = (key: string) => ({ ...damage, key: new TextEncoder().encode(key) });
const found = (damages: readonly Parameters<typeof check>[0][number][]) =>
  checkText(check(damages));
const check = (damages: Parameters<typeof reportCheck>[1]['damages']) =>
  reportCheck('/dev/x', { recordCount: 7, bytesChecked: 4096, damages });

describe('the report of a check', () => {
  it('of a sound device is one line', () => {
    expect(found([])).toBe('/dev/x: no damage (7 records, 4 KiB read)\n');
    expect(check([])).toMatchObject({
      verdict: 'sound',
      repair: { drops: [], rewrites: [], resurfaced: [] },
    });
  });

  it('lists each value that would be dropped, by its key', () => {
    const report = check([named('a key')]);
    expect(report.verdict).toBe('damaged');
    expect(report.repair.drops).toEqual([
      { kind: 'record', key: 'a\\x20key', keyHex: '61206b6579', offset: 4096, sizeBytes: 2048 },
    ]);
    expect(checkText(report)).toContain('would drop:\n  a\\x20key (2 KiB)\n');
    expect(checkText(report)).toContain('Write these keys again');
  });

  it('drops nothing for what can be written anew, and says by what', () => {
    const report = check([
      { ...damage, segment: -1, reason: 'superblock: its checksum does not match' },
      { ...damage, segment: -1, reason: 'claim ring: both blocks of slot 3 are damaged' },
      damage,
    ]);
    expect(report.repair.drops).toEqual([]);
    expect(report.repair.rewrites.map(({ kind }) => kind)).toEqual([
      ...['superblock', 'claim-slot', 'log'],
    ]);
    const text = checkText(report);
    expect(text).toContain('would drop nothing');
    expect(text).toContain('dozo device grow /dev/x');
    expect(text).not.toContain('segment -1');
  });

  it('takes a grow that was cut off for no damage', () => {
    const report = reportCheck('/dev/x', {
      ...{ recordCount: 7, bytesChecked: 4096, damages: [] },
      isGrowUnfinished: true,
    });
    expect(report.verdict).toBe('sound');
    expect(checkText(report)).toMatch(/no damage.*\nGrowing it was cut off; .*dozo device grow/);
  });

  it('of a damaged log says that nobody knows what lies behind it', () => {
    const report = reportCorrupt('/dev/x', { offset: 12_288, reason: 'a group is damaged' });
    expect(report).toMatchObject({
      verdict: 'unopenable',
      corrupt: { offset: 12_288 },
      repair: { drops: [{ kind: 'log', offset: 12_288 }] },
    });
    expect(checkText(report)).toContain('/dev/x: damaged at byte 12288: a group is damaged\n');
  });

  it('prints so many lines and no more, and JSON has all', () => {
    const damages = Array.from({ length: 250 }, (_, index) => named(`key ${String(index)}`));
    expect(checkText(check(damages)).split('\n').length).toBeLessThan(2 * DAMAGES_PRINTED_MAX + 10);
    expect(check(damages).repair.drops).toHaveLength(250);
  });
});
