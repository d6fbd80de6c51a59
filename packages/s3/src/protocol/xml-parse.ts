/**
 * The documents that clients send: what to delete, which parts to complete, where to create.
 *
 * Source: S3 API Reference, DeleteObjects, CompleteMultipartUpload, CreateBucket.
 */
import { invalidArgument, S3Error } from '../errors.ts';
import { DELETE_KEYS_MAX, PART_NUMBER_MAX } from '../limits.ts';
import { CHECKSUM_ALGORITHMS, isChecksumValue } from './checksum.ts';
import type { Checksum } from './checksum.ts';
import { bareEtag } from './conditions.ts';
import { childText, malformed, readXml } from './xml-reader.ts';
import type { XmlElement } from './xml-reader.ts';

/** A part that CompleteMultipartUpload names. */
export interface CompletedPart {
  readonly partNumber: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksum: Checksum | undefined;
}

/** DeleteObjects. */
export interface DeleteRequest {
  /** Name failures only. */
  readonly quiet: boolean;
  readonly objects: readonly DeleteRequestObject[];
}

/** An object that DeleteObjects names. The key may be too long or empty: its row says so. */
export interface DeleteRequestObject {
  readonly key: string;
  /** Unversioned buckets know only `null`. */
  readonly versionId: string | undefined;
  /** Without quotes: delete only an object with this ETag (`*`: any). */
  readonly etag: string | undefined;
}

/**
 * Reads the parts of CompleteMultipartUpload, in ascending order.
 *
 * @throws S3Error `MalformedXML`, `InvalidPartOrder`, `InvalidArgument` (part number).
 */
export function parseCompleteMultipartUpload(body: Uint8Array): readonly CompletedPart[] {
  const root = readXml(body, 'CompleteMultipartUpload');
  const parts: CompletedPart[] = [];
  for (const child of root.children) {
    if (child.name !== 'Part') throw malformed(`${child.name} in ${root.name}`);
    if (parts.length >= PART_NUMBER_MAX) throw malformed(`more than ${PART_NUMBER_MAX} parts`);
    const part = readPart(child);
    const before = parts.at(-1);
    if (before !== undefined && before.partNumber >= part.partNumber) {
      throw new S3Error('InvalidPartOrder');
    }
    parts.push(part);
  }
  if (parts.length === 0) throw malformed('it names no part');
  return parts;
}

/**
 * Reads the keys of DeleteObjects, `[1, DELETE_KEYS_MAX]` of them.
 *
 * @throws S3Error `MalformedXML`; `NotImplemented` for conditions on date or size.
 */
export function parseDelete(body: Uint8Array): DeleteRequest {
  const root = readXml(body, 'Delete');
  const objects: DeleteRequestObject[] = [];
  for (const child of root.children) {
    if (child.name === 'Quiet') continue;
    if (child.name !== 'Object') throw malformed(`${child.name} in ${root.name}`);
    if (objects.length >= DELETE_KEYS_MAX) throw malformed(`more than ${DELETE_KEYS_MAX} keys`);
    const key = childText(child, 'Key');
    if (key === undefined) throw malformed('an Object without Key');
    for (const name of ['LastModifiedTime', 'Size']) {
      if (childText(child, name) !== undefined) {
        throw S3Error.of('NotImplemented', `Deleting by the condition ${name} is not implemented.`);
      }
    }
    const etag = childText(child, 'ETag');
    objects.push({
      key,
      versionId: childText(child, 'VersionId'),
      etag: etag === undefined ? undefined : bareEtag(etag),
    });
  }
  if (objects.length === 0) throw malformed('it names no key');
  return { quiet: childText(root, 'Quiet')?.trim().toLowerCase() === 'true', objects };
}

/**
 * Reads the body of CreateBucket, which may be empty.
 *
 * @returns the location constraint; undefined if none was sent.
 * @throws S3Error `MalformedXML`; `NotImplemented` for directory buckets and tags.
 */
export function parseCreateBucketConfiguration(body: Uint8Array): string | undefined {
  if (body.length === 0) return undefined;
  const root = readXml(body, 'CreateBucketConfiguration');
  const other = root.children.find(({ name }) => name !== 'LocationConstraint');
  if (other !== undefined) {
    throw S3Error.of('NotImplemented', `Creating a bucket with ${other.name} is not implemented.`);
  }
  const location = childText(root, 'LocationConstraint');
  return location === '' ? undefined : location;
}

function readPart(part: XmlElement): CompletedPart {
  const numberText = childText(part, 'PartNumber')?.trim();
  const etag = childText(part, 'ETag');
  if (numberText === undefined || etag === undefined) {
    throw malformed('a Part without PartNumber or ETag');
  }
  const partNumber = /^\d{1,10}$/.test(numberText) ? Number(numberText) : 0;
  if (partNumber < 1 || partNumber > PART_NUMBER_MAX) {
    const message = `PartNumber must be >= 1 and <= ${PART_NUMBER_MAX}`;
    throw invalidArgument('partNumber', numberText, message);
  }
  return { partNumber, etag: bareEtag(etag), checksum: readChecksum(part) };
}

function readChecksum(part: XmlElement): Checksum | undefined {
  let found: Checksum | undefined;
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = childText(part, `Checksum${algorithm}`)?.trim();
    if (value === undefined || value === '') continue;
    if (found !== undefined) throw malformed('a Part with two checksums');
    if (!isChecksumValue(algorithm, value)) {
      throw S3Error.of('InvalidRequest', `Value for Checksum${algorithm} is invalid.`);
    }
    found = { algorithm, value };
  }
  return found;
}
