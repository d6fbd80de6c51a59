import { describe, expect, it } from 'vitest';
import { basicDate, httpDate, isoDate, parseBasicDate, parseHttpDate } from './dates.ts';

const MS = Date.UTC(1994, 10, 6, 8, 49, 37);

describe('dates', () => {
  it('are written in three ways', () => {
    expect(isoDate(MS + 5)).toBe('1994-11-06T08:49:37.005Z');
    expect(httpDate(MS)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
    expect(basicDate(MS + 999)).toBe('19941106T084937Z');
  });

  it('are read in the three forms of HTTP, whatever the zone of this machine', () => {
    for (const text of [
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
      'Sun, 06 Nov 1994 09:49:37 +0100',
    ]) {
      expect(parseHttpDate(text)).toBe(MS);
    }
    for (const text of ['', '0', '1994', 'Sun', '1994-11-06T08:49:37Z', 'Sun, 99 Nov 1994 08:49']) {
      expect(parseHttpDate(text)).toBeUndefined();
    }
  });

  it('are read in the form of signatures, if the day exists', () => {
    expect(parseBasicDate('19941106T084937Z')).toBe(MS);
    expect(parseBasicDate('20240229T000000Z')).toBe(Date.UTC(2024, 1, 29));
    for (const text of ['', '20230229T000000Z', '20231301T000000Z', '20230101T240000Z']) {
      expect(parseBasicDate(text)).toBeUndefined();
    }
    for (const text of ['19941106T084937', '1994-11-06T08:49:37Z', ' 19941106T084937Z']) {
      expect(parseBasicDate(text)).toBeUndefined();
    }
  });
});
