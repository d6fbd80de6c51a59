/**
 * Headers about checksums, other than the checksum of a body itself (`payload-checksum.ts`).
 *
 * Source: S3 API Reference, CreateMultipartUpload, CompleteMultipartUpload, GetObject, CopyObject.
 */
import { invalidArgument, S3Error } from '../errors.ts';
import {
  algorithmOfHeader,
  CHECKSUM_ALGORITHMS,
  checksumHeaderName,
  isChecksumAlgorithm,
  isChecksumValue,
} from './checksum.ts';
import type {
  Checksum,
  ChecksumAlgorithm,
  ChecksumType,
  ObjectChecksum,
  UploadChecksum,
} from './checksum.ts';
import type { RequestHeaders } from './headers.ts';

/** What CompleteMultipartUpload says the whole object should be. */
export interface ExpectedObject {
  /** As sent, with or without the `-parts` of a composite. */
  readonly checksum: Checksum | undefined;
  readonly checksumType: ChecksumType | undefined;
  readonly sizeBytes: number | undefined;
}

/**
 * `x-amz-checksum-algorithm` and `x-amz-checksum-type` of CreateMultipartUpload.
 *
 * @throws S3Error `InvalidRequest` for what is unknown or does not go together.
 */
export function parseUploadChecksum(headers: RequestHeaders): UploadChecksum | undefined {
  const algorithm = parseChecksumAlgorithm(headers);
  const type = parseType(headers);
  if (algorithm === undefined) {
    if (type === undefined) return undefined;
    const message =
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.';
    throw S3Error.of('InvalidRequest', message);
  }
  const usual = algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
  const only = algorithm === 'CRC32' || algorithm === 'CRC32C' ? undefined : usual;
  if (only !== undefined && type !== undefined && type !== only) {
    const message = `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`;
    throw S3Error.of('InvalidRequest', message);
  }
  return { algorithm, type: type ?? usual };
}

/**
 * `x-amz-checksum-algorithm`; for CopyObject: what to compute for the copy.
 *
 * @throws S3Error `InvalidRequest` for an unknown one.
 */
export function parseChecksumAlgorithm(headers: RequestHeaders): ChecksumAlgorithm | undefined {
  const text = headers.get('x-amz-checksum-algorithm');
  return text === undefined ? undefined : requireChecksumAlgorithm(text);
}

/** @throws S3Error `InvalidRequest` unless `text` names an algorithm, in whatever case. */
export function requireChecksumAlgorithm(text: string): ChecksumAlgorithm {
  const name = text.toUpperCase();
  if (isChecksumAlgorithm(name)) return name;
  const valid = CHECKSUM_ALGORITHMS.join(', ');
  const message = `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${valid}]`;
  throw S3Error.of('InvalidRequest', message);
}

/**
 * What the headers of CompleteMultipartUpload expect of the whole object.
 *
 * @throws S3Error `InvalidRequest`, `InvalidArgument`.
 */
export function parseExpectedObject(headers: RequestHeaders): ExpectedObject {
  const size = headers.get('x-amz-mp-object-size');
  if (size !== undefined && !/^\d{1,15}$/.test(size)) {
    throw invalidArgument(
      'x-amz-mp-object-size',
      size,
      'The object size must be a number of bytes',
    );
  }
  return {
    checksum: findChecksumHeader(headers, (algorithm, value) => {
      const hyphen = value.indexOf('-');
      return isChecksumValue(algorithm, hyphen < 0 ? value : value.slice(0, hyphen));
    }),
    checksumType: parseType(headers),
    sizeBytes: size === undefined ? undefined : Number(size),
  };
}

/**
 * The one `x-amz-checksum-*` header that carries a value.
 *
 * @throws S3Error `InvalidRequest` if there are two, or if `isValid` says no.
 */
export function findChecksumHeader(
  headers: RequestHeaders,
  isValid: (algorithm: ChecksumAlgorithm, value: string) => boolean = isChecksumValue,
): Checksum | undefined {
  let found: Checksum | undefined;
  for (const [name, value] of headers) {
    if (!name.startsWith('x-amz-checksum-')) continue;
    const algorithm = algorithmOfHeader(name);
    if (algorithm === undefined) continue;
    if (found !== undefined) {
      const message =
        'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
      throw S3Error.of('InvalidRequest', message);
    }
    if (!isValid(algorithm, value)) {
      throw S3Error.of('InvalidRequest', `Value for ${name} header is invalid.`);
    }
    found = { algorithm, value };
  }
  return found;
}

/** Whether `x-amz-checksum-mode: ENABLED` asks for the checksum of an object. */
export function wantsChecksum(headers: RequestHeaders): boolean {
  return headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
}

/** The headers that tell an object's checksum. */
export function checksumHeaders(checksum: ObjectChecksum): Record<string, string> {
  return {
    [checksumHeaderName(checksum.algorithm)]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  };
}

function parseType(headers: RequestHeaders): ChecksumType | undefined {
  const type = headers.get('x-amz-checksum-type');
  if (type === undefined || type === 'COMPOSITE' || type === 'FULL_OBJECT') return type;
  throw S3Error.of('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
}
