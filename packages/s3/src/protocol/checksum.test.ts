import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  algorithmOfHeader,
  CHECKSUM_ALGORITHMS,
  checksumHeaderName,
  checksumOfNothing,
  computeChecksum,
  createRunningChecksum,
  isChecksumAlgorithm,
  isChecksumValue,
} from './checksum.ts';

/** Of the bytes "123456789", as every catalogue of CRCs lists them, and the two hashes. */
const CHECK_VALUES = {
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
} as const;

describe.each(CHECKSUM_ALGORITHMS)('%s', (algorithm) => {
  it('gives the published value of "123456789"', () => {
    const digest = computeChecksum(algorithm, Buffer.from('123456789'));
    expect(digest.toString('hex')).toBe(CHECK_VALUES[algorithm]);
  });

  it('gives the same in pieces as in one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, at) => {
        const running = createRunningChecksum(algorithm);
        running.update(bytes.subarray(0, at % (bytes.length + 1)));
        running.update(bytes.subarray(at % (bytes.length + 1)));
        expect(running.digest()).toEqual(computeChecksum(algorithm, bytes));
      }),
    );
  });

  it('has a header of its own, and a value of its own length', () => {
    expect(algorithmOfHeader(checksumHeaderName(algorithm))).toBe(algorithm);
    const value = computeChecksum(algorithm, Buffer.from('a')).toString('base64');
    expect(isChecksumValue(algorithm, value)).toBe(true);
    expect(isChecksumValue(algorithm, `${value} `)).toBe(false);
    expect(isChecksumValue(algorithm, `AAAA${value}`)).toBe(false);
    expect(isChecksumValue(algorithm, value.replace(/=+$/, ''))).toBe(false);
    expect(isChecksumValue(algorithm, '')).toBe(false);
  });
});

it('knows the checksum of nothing', () => {
  expect(checksumOfNothing('CRC32')).toBe('AAAAAA==');
  expect(checksumOfNothing('CRC64NVME')).toBe('AAAAAAAAAAA=');
  expect(checksumOfNothing('SHA1')).toBe('2jmj7l5rSw0yVb/vlWAYkK/YBwk=');
});

it('knows no other algorithm and no other header', () => {
  expect(isChecksumAlgorithm('MD5')).toBe(false);
  expect(isChecksumAlgorithm('crc32')).toBe(false);
  expect(algorithmOfHeader('x-amz-checksum-type')).toBeUndefined();
});
