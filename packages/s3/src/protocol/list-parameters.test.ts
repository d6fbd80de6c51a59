import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { parseListParameters, parsePartNumber, parsePartNumberMarker } from './list-parameters.ts';
import { Query } from './query.ts';

describe('parseListParameters', () => {
  it('fills in what is not sent', () => {
    expect(parseListParameters(Query.EMPTY, 'max-keys')).toEqual({
      prefix: '',
      delimiter: '',
      rowsMax: 1000,
      encodingType: undefined,
    });
    const query = Query.parse(
      'prefix=a%2F&delimiter=%2F&max-uploads=2&max-keys=3&encoding-type=url',
    );
    expect(parseListParameters(query, 'max-uploads')).toEqual({
      prefix: 'a/',
      delimiter: '/',
      rowsMax: 2,
      encodingType: 'url',
    });
  });

  it('gives at most a page', () => {
    const rows = (text: string): number =>
      parseListParameters(Query.parse(`max-keys=${text}`), 'max-keys').rowsMax;
    expect([rows('0'), rows('1000'), rows('1001'), rows('2147483647'), rows('')]).toEqual([
      0, 1000, 1000, 1000, 1000,
    ]);
    for (const bad of ['-1', '1.5', 'ten', '2147483648', '1e3', ' 1']) {
      expect(refusal(() => rows(bad)).detail.fields['ArgumentName']).toBe('max-keys');
    }
  });

  it.each(['prefix', 'delimiter', 'marker', 'start-after', 'key-marker'])(
    'refuses a %s that is longer than a key can be',
    (name) => {
      const parse = (text: string): unknown =>
        parseListParameters(Query.parse(`${name}=${text}`), 'max-keys');
      expect(parse('x'.repeat(1024))).toBeDefined();
      expect(refusal(() => parse('x'.repeat(1025))).code).toBe('KeyTooLongError');
      expect(refusal(() => parse('%C3%A9'.repeat(513))).code).toBe('KeyTooLongError');
    },
  );

  it('refuses an encoding that is not url', () => {
    const query = Query.parse('encoding-type=base64');
    expect(refusal(() => parseListParameters(query, 'max-keys')).code).toBe('InvalidArgument');
  });
});

describe('part numbers', () => {
  it('are between 1 and 10,000', () => {
    const number = (text: string): number | undefined =>
      parsePartNumber(Query.parse(`partNumber=${text}`));
    expect([number('1'), number('10000')]).toEqual([1, 10_000]);
    expect(parsePartNumber(Query.EMPTY)).toBeUndefined();
    for (const bad of ['0', '10001', '-1', 'a', '', '1.0']) {
      expect(refusal(() => number(bad)).code).toBe('InvalidArgument');
    }
  });

  it('begin after a marker', () => {
    expect(parsePartNumberMarker(Query.EMPTY)).toBe(0);
    expect(parsePartNumberMarker(Query.parse('part-number-marker=7'))).toBe(7);
    const bad = Query.parse('part-number-marker=x');
    expect(refusal(() => parsePartNumberMarker(bad)).code).toBe('InvalidArgument');
  });
});
