import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { parseRequestHeaders } from './headers.ts';

describe('parseRequestHeaders', () => {
  it('lowers names and keeps values', () => {
    const headers = parseRequestHeaders(['Host', 'A.example', 'X-Amz-Meta-Note', 'Two Words']);
    expect([...headers]).toEqual([
      ['host', 'A.example'],
      ['x-amz-meta-note', 'Two Words'],
    ]);
  });

  it('joins what may come twice, as signatures do', () => {
    const raw = ['if-match', '"a"', 'X-Custom', '1', 'If-Match', '"b"', 'x-custom', '2'];
    const headers = parseRequestHeaders([...raw, 'x-amz-meta-a', 'x', 'x-amz-meta-a', 'y']);
    expect(headers.get('if-match')).toBe('"a","b"');
    expect(headers.get('x-custom')).toBe('1,2');
    expect(headers.get('x-amz-meta-a')).toBe('x,y');
  });

  it.each([
    'Authorization',
    'Content-Length',
    'Content-MD5',
    'Host',
    'Range',
    'Transfer-Encoding',
    'x-amz-content-sha256',
    'x-amz-copy-source',
    'x-amz-date',
  ])('refuses two of %s, which would be two instructions', (name) => {
    const error = refusal(() => parseRequestHeaders([name, 'a', name.toUpperCase(), 'a']));
    expect(error.code).toBe('InvalidRequest');
    expect(error.message).toContain(name.toLowerCase());
  });

  it('is not confused by names of the language itself', () => {
    const headers = parseRequestHeaders(['__proto__', 'a', 'constructor', 'b']);
    expect(headers.get('__proto__')).toBe('a');
    expect(headers.get('constructor')).toBe('b');
  });
});
