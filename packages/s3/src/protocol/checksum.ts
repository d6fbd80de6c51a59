export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';
export type ChecksumType = 'COMPOSITE' | 'FULL_OBJECT';

/** Checksum of a run of bytes. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, as it stands in headers. */
  readonly value: string;
}

/** Checksum of an object as it is kept and returned. */
export interface ObjectChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  /** Base64; `base64-parts` for a composite of several parts. */
  readonly value: string;
}

/** What a multipart upload says of its checksum when it begins. */
export interface UploadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
}
