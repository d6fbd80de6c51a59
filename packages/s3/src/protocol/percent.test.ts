import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { percentDecode, percentEncode } from './percent.ts';

describe('percentEncode', () => {
  it('escapes everything but letters, digits and -._~', () => {
    const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join('');
    const plain = percentEncode(ascii, false).replace(/%[0-9A-F]{2}/g, '');
    expect(plain).toBe('-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~');
    expect(percentEncode("a/b !'()*+é€𝄞", true)).toBe(
      'a/b%20%21%27%28%29%2A%2B%C3%A9%E2%82%AC%F0%9D%84%9E',
    );
    expect(percentEncode('a/b', false)).toBe('a%2Fb');
  });

  it('is undone by percentDecode, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, keepSlash) => {
        expect(percentDecode(percentEncode(text, keepSlash))).toBe(text);
      }),
    );
  });
});

describe('percentDecode', () => {
  it('leaves plus, dots and slashes as they are', () => {
    expect(percentDecode('/a+b/../c//d/./')).toBe('/a+b/../c//d/./');
    expect(percentDecode('%2e%2F%2f%25%00')).toBe('.//%\0');
  });

  it('reads raw bytes beyond ASCII as UTF-8', () => {
    expect(percentDecode(Buffer.from('grün/é%C3%A9').toString('latin1'))).toBe('grün/éé');
  });

  it.each(['%', '%1', '%zz', '%C3', '%ff', '%C0%80', '%ED%A0%80', '%F5%80%80%80', '\xff'])(
    'has no decoding for %j',
    (text) => {
      expect(percentDecode(text)).toBeUndefined();
    },
  );
});
