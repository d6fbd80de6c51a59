/**
 * What a CompleteMultipartUpload makes of the parts that are there: pure rules.
 *
 * Source: S3 API Reference, CompleteMultipartUpload; S3 User Guide, "Checking object integrity".
 */
import { createHash } from 'node:crypto';
import { S3Error } from '../errors.ts';
import type { CompletedPart } from '../protocol/index.ts';
import type { ObjectPart } from './entry-record.ts';
import type { PartRecord } from './records.ts';

/** The parts that make up the object, in order. */
export interface CompletePlan {
  readonly parts: readonly ObjectPart[];
  readonly sizeBytes: number;
  /** MD5 of the parts' MD5s, `-`, number of parts. */
  readonly etag: string;
}

/**
 * Chooses the parts that a client names.
 *
 * @param stored what was uploaded, by part number.
 * @throws S3Error `MalformedXML` (none named), `InvalidPartOrder`, `InvalidPart`, `EntityTooSmall`.
 */
export function planComplete(
  named: readonly CompletedPart[],
  stored: ReadonlyMap<number, PartRecord>,
  partBytesMin: number,
): CompletePlan {
  if (named.length === 0) throw new S3Error('MalformedXML');
  const parts: ObjectPart[] = [];
  let sizeBytes = 0;
  let lastNumber = 0;
  named.forEach((wanted, index) => {
    const { partNumber, etag } = wanted;
    if (partNumber <= lastNumber) throw new S3Error('InvalidPartOrder');
    lastNumber = partNumber;
    const part = stored.get(partNumber);
    if (part === undefined || part.etag !== etag || !sameChecksum(wanted, part)) {
      throw new S3Error('InvalidPart', {
        fields: { PartNumber: String(partNumber), ETag: etag },
      });
    }
    if (part.blob.sizeBytes < partBytesMin && index < named.length - 1) {
      throw new S3Error('EntityTooSmall', {
        fields: {
          ProposedSize: String(part.blob.sizeBytes),
          MinSizeAllowed: String(partBytesMin),
          PartNumber: String(partNumber),
          ETag: etag,
        },
      });
    }
    parts.push({ partNumber, blob: part.blob, checksum: part.checksum });
    sizeBytes += part.blob.sizeBytes;
  });
  return { parts, sizeBytes, etag: multipartEtag(named) };
}

/** The entity tag of an object made of parts with these entity tags. */
export function multipartEtag(parts: readonly { readonly etag: string }[]): string {
  const hash = createHash('md5');
  // By way of a buffer: a hash rejects hex digits that are none, and clients may send anything.
  for (const { etag } of parts) hash.update(Buffer.from(etag, 'hex'));
  return `${hash.digest('hex')}-${parts.length}`;
}

function sameChecksum(wanted: CompletedPart, part: PartRecord): boolean {
  const { checksum } = wanted;
  if (checksum === undefined) return true;
  return part.checksum?.algorithm === checksum.algorithm && part.checksum.value === checksum.value;
}
