/**
 * The five checksums of S3: their names and the running computation of each.
 *
 * CRCs travel as big-endian bytes, everything in base64.
 *
 * Source: S3 User Guide, "Checking object integrity for data uploads".
 */
import { createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { crc32c } from '@dozo/base';
import { Crc64Nvme } from './crc64-nvme.ts';

/** Checksum algorithms, spelled as in `x-amz-checksum-algorithm`. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;

/** @see CHECKSUM_ALGORITHMS */
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** Of all bytes of an object, or of the checksums of its parts. */
export type ChecksumType = 'COMPOSITE' | 'FULL_OBJECT';

/** Checksum of a run of bytes. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, as it stands in headers. */
  readonly value: string;
}

/** Checksum of an object as it is kept and returned. */
export interface ObjectChecksum extends Checksum {
  /** For `COMPOSITE`, `value` ends with a hyphen and the number of parts. */
  readonly type: ChecksumType;
}

/** What a multipart upload says of its checksum when it begins. */
export interface UploadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
}

/** A checksum in the making. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** To be called once, last. */
  digest(): Buffer;
}

const DIGEST_BYTES = { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 } as const;

const HEADERS: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [checksumHeaderName(algorithm), algorithm]),
);

/** `x-amz-checksum-crc32` and so on. */
export function checksumHeaderName(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** The algorithm that a lower-case header name carries; undefined for any other header. */
export function algorithmOfHeader(name: string): ChecksumAlgorithm | undefined {
  return HEADERS.get(name);
}

/** Whether `text` names an algorithm, in upper case. */
export function isChecksumAlgorithm(text: string): text is ChecksumAlgorithm {
  return (CHECKSUM_ALGORITHMS as readonly string[]).includes(text);
}

/** Whether `value` is base64 of as many bytes as the algorithm gives. */
export function isChecksumValue(algorithm: ChecksumAlgorithm, value: string): boolean {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === DIGEST_BYTES[algorithm] && bytes.toString('base64') === value;
}

/** The checksum of no bytes at all, base64: what a client sends that signed before it knew the body. */
export function checksumOfNothing(algorithm: ChecksumAlgorithm): string {
  return createRunningChecksum(algorithm).digest().toString('base64');
}

/** Begins a checksum that is fed piece by piece. */
export function createRunningChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  switch (algorithm) {
    case 'CRC32':
      return new RunningCrc(crc32);
    case 'CRC32C':
      return new RunningCrc(crc32c);
    case 'CRC64NVME':
      return new Crc64Nvme();
    case 'SHA1':
      return createHash('sha1');
    case 'SHA256':
      return createHash('sha256');
  }
}

/** The checksum of bytes that are there whole. */
export function computeChecksum(algorithm: ChecksumAlgorithm, bytes: Uint8Array): Buffer {
  if (algorithm === 'SHA1') return hash('sha1', bytes, 'buffer');
  if (algorithm === 'SHA256') return hash('sha256', bytes, 'buffer');
  const running = createRunningChecksum(algorithm);
  running.update(bytes);
  return running.digest();
}

/** A 32-bit CRC whose function takes the value so far as its second argument. */
class RunningCrc implements RunningChecksum {
  readonly #advance: (bytes: Uint8Array, seed: number) => number;
  #value = 0;

  constructor(advance: (bytes: Uint8Array, seed: number) => number) {
    this.#advance = advance;
  }

  update(bytes: Uint8Array): void {
    this.#value = this.#advance(bytes, this.#value);
  }

  digest(): Buffer {
    const digest = Buffer.allocUnsafe(4);
    digest.writeUInt32BE(this.#value);
    return digest;
  }
}
