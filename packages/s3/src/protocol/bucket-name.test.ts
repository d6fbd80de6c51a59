import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { requireBucketName, requireObjectKey } from './bucket-name.ts';

describe('requireBucketName', () => {
  it.each(['abc', 'a1-b.c', '123', 'a'.repeat(63), 'a-.b', '1.2.3.4.5'])('allows %s', (name) => {
    expect(() => requireBucketName(name)).not.toThrow();
  });

  it.each([
    '',
    'ab',
    'a'.repeat(64),
    'Abc',
    'a_b',
    '-abc',
    'abc-',
    '.abc',
    'abc.',
    'a..b',
    'a b',
    'gr\u00fcn',
    '192.168.1.1',
    'xn--abc',
    'sthree-abc',
    'amzn-s3-demo-abc',
    'abc-s3alias',
    'abc--ol-s3',
    'abc.mrap',
    'abc--x-s3',
    'abc\n',
  ])('refuses %j', (name) => {
    const error = refusal(() => requireBucketName(name));
    expect([error.code, error.detail.fields]).toEqual(['InvalidBucketName', { BucketName: name }]);
  });
});

describe('requireObjectKey', () => {
  it('counts bytes of UTF-8', () => {
    for (const key of ['a', 'é'.repeat(512), '€'.repeat(341), '𝄞'.repeat(256), 'a'.repeat(1024)]) {
      expect(() => requireObjectKey(key)).not.toThrow();
    }
    for (const key of ['é'.repeat(513), '€'.repeat(342), '𝄞'.repeat(257), 'a'.repeat(1025)]) {
      expect(refusal(() => requireObjectKey(key)).code).toBe('KeyTooLongError');
    }
    expect(refusal(() => requireObjectKey('')).code).toBe('InvalidArgument');
  });
});
