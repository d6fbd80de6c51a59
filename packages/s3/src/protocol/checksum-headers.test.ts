import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import {
  checksumHeaders,
  parseChecksumAlgorithm,
  parseExpectedObject,
  parseUploadChecksum,
  wantsChecksum,
} from './checksum-headers.ts';

function uploadOf(algorithm?: string, type?: string): ReturnType<typeof parseUploadChecksum> {
  const headers = new Map<string, string>();
  if (algorithm !== undefined) headers.set('x-amz-checksum-algorithm', algorithm);
  if (type !== undefined) headers.set('x-amz-checksum-type', type);
  return parseUploadChecksum(headers);
}

describe('parseUploadChecksum', () => {
  it('takes the usual type of each algorithm where none is sent', () => {
    expect(uploadOf()).toBeUndefined();
    expect(uploadOf('CRC32')).toEqual({ algorithm: 'CRC32', type: 'COMPOSITE' });
    expect(uploadOf('crc64nvme')).toEqual({ algorithm: 'CRC64NVME', type: 'FULL_OBJECT' });
    expect(uploadOf('SHA256')).toEqual({ algorithm: 'SHA256', type: 'COMPOSITE' });
    expect(uploadOf('CRC32C', 'FULL_OBJECT')).toEqual({ algorithm: 'CRC32C', type: 'FULL_OBJECT' });
  });

  it.each([
    ['MD5', undefined],
    ['SHA1', 'FULL_OBJECT'],
    ['SHA256', 'FULL_OBJECT'],
    ['CRC64NVME', 'COMPOSITE'],
    ['CRC32', 'WHOLE'],
    [undefined, 'COMPOSITE'],
  ])('refuses %s with %s', (algorithm, type) => {
    expect(refusal(() => uploadOf(algorithm, type)).code).toBe('InvalidRequest');
  });
});

describe('parseExpectedObject', () => {
  it('reads what the whole object should be', () => {
    const headers = new Map([
      ['x-amz-checksum-crc32', 'AAAAAA==-3'],
      ['x-amz-checksum-type', 'COMPOSITE'],
      ['x-amz-mp-object-size', '12'],
    ]);
    expect(parseExpectedObject(headers)).toEqual({
      checksum: { algorithm: 'CRC32', value: 'AAAAAA==-3' },
      checksumType: 'COMPOSITE',
      sizeBytes: 12,
    });
    expect(parseExpectedObject(new Map())).toEqual({
      checksum: undefined,
      checksumType: undefined,
      sizeBytes: undefined,
    });
  });

  it('refuses what is no size and no checksum', () => {
    const codeOf = (name: string, value: string): string =>
      refusal(() => parseExpectedObject(new Map([[name, value]]))).code;
    expect(codeOf('x-amz-mp-object-size', '-1')).toBe('InvalidArgument');
    expect(codeOf('x-amz-checksum-crc32', 'A')).toBe('InvalidRequest');
  });
});

it('knows whether a checksum is wanted, for a copy and for an answer', () => {
  expect(wantsChecksum(new Map([['x-amz-checksum-mode', 'ENABLED']]))).toBe(true);
  expect(wantsChecksum(new Map())).toBe(false);
  expect(parseChecksumAlgorithm(new Map([['x-amz-checksum-algorithm', 'SHA1']]))).toBe('SHA1');
  expect(parseChecksumAlgorithm(new Map())).toBeUndefined();
});

it('tells a checksum in headers', () => {
  expect(checksumHeaders({ algorithm: 'SHA1', type: 'COMPOSITE', value: 'x-2' })).toEqual({
    'x-amz-checksum-sha1': 'x-2',
    'x-amz-checksum-type': 'COMPOSITE',
  });
});
