import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { contentRange, parseCopySourceRange, parseRange } from './range.ts';
import type { BodyRange } from './range.ts';

const MODIFIED = 'Thu, 05 Nov 2026 08:15:30 GMT';

function range(text: string, sizeBytes = 10, ifRange?: string): BodyRange | undefined {
  const headers = new Map([['range', text]]);
  if (ifRange !== undefined) headers.set('if-range', ifRange);
  return parseRange(headers, { etag: 'abc', lastModifiedMs: Date.parse(MODIFIED), sizeBytes });
}

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=0-9', 0, 10],
    ['bytes=3-', 3, 10],
    ['bytes=3-100', 3, 10],
    ['bytes=9-9', 9, 10],
    ['bytes=-3', 7, 10],
    ['bytes=-100', 0, 10],
    ['Bytes= 1 - 2 ', 1, 3],
    ['bytes=0-9999999999999999999', 0, 10],
  ])('%s of 10 bytes is [%i, %i)', (text, start, end) => {
    expect(range(text)).toEqual({ start, end });
  });

  it.each(['bytes=0-1,3-4', 'bytes=-', 'bytes=5-2', 'bytes=a-b', 'items=0-1', 'bytes', ''])(
    '%j is ignored',
    (text) => {
      expect(range(text)).toBeUndefined();
    },
  );

  it.each([
    ['bytes=10-', 10],
    ['bytes=10-20', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=0-0', 0],
    ['bytes=-5', 0],
  ])('%s of %i bytes cannot be satisfied', (text, sizeBytes) => {
    const error = refusal(() => range(text, sizeBytes));
    expect([error.code, error.status]).toEqual(['InvalidRange', 416]);
    expect(error.detail).toMatchObject({
      fields: { RangeRequested: text, ActualObjectSize: String(sizeBytes) },
      headers: { 'content-range': `bytes */${sizeBytes}` },
    });
  });

  it('holds only for the state that If-Range names', () => {
    for (const same of ['"abc"', MODIFIED]) expect(range('bytes=0-1', 10, same)).toBeDefined();
    for (const other of ['"x"', 'W/"abc"', 'Thu, 05 Nov 2026 08:15:31 GMT']) {
      expect(range('bytes=0-1', 10, other)).toBeUndefined();
      expect(range('bytes=10-', 10, other)).toBeUndefined();
    }
  });

  it('is the whole object without a header', () => {
    const object = { etag: 'abc', lastModifiedMs: 0, sizeBytes: 10 };
    expect(parseRange(new Map(), object)).toBeUndefined();
  });
});

describe('parseCopySourceRange', () => {
  const copyRange = (text: string): BodyRange | undefined =>
    parseCopySourceRange(new Map([['x-amz-copy-source-range', text]]), 10);

  it('wants both ends', () => {
    expect(copyRange('bytes=0-9')).toEqual({ start: 0, end: 10 });
    expect(parseCopySourceRange(new Map(), 10)).toBeUndefined();
    for (const text of ['bytes=0-', 'bytes=-5', 'bytes=2-1', '0-1', 'bytes=0-1,3-4', 'bytes=a-b']) {
      expect(refusal(() => copyRange(text)).code).toBe('InvalidArgument');
    }
  });

  it('refuses what is past the end, where a GET would cut it', () => {
    expect(refusal(() => copyRange('bytes=0-10')).code).toBe('InvalidRange');
  });
});

it('tells which range is sent', () => {
  expect(contentRange({ start: 0, end: 1 }, 10)).toBe('bytes 0-0/10');
});
