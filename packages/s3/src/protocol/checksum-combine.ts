import type { ObjectChecksum, UploadChecksum } from './checksum.ts';

/** A part as it goes into the checksum of the whole. */
export interface ChecksummedPart {
  readonly sizeBytes: number;
  /** Base64. */
  readonly value: string;
}

/** The checksum of an object from those of its parts, in order. */
export declare function combineChecksums(
  upload: UploadChecksum,
  parts: readonly ChecksummedPart[],
): ObjectChecksum;
