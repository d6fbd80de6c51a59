/**
 * Names of buckets and keys of objects: what S3 allows.
 *
 * Source: S3 User Guide, "General purpose bucket naming rules", "Naming Amazon S3 objects".
 */
import { S3Error } from '../errors.ts';
import { BUCKET_NAME_LENGTH_MAX, BUCKET_NAME_LENGTH_MIN, OBJECT_KEY_BYTES_MAX } from '../limits.ts';

const FORM = /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/;
const IP_ADDRESS = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'] as const;
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'] as const;

/** @throws S3Error `InvalidBucketName` unless `name` is one that S3 allows. */
export function requireBucketName(name: string): void {
  if (!isBucketName(name)) {
    throw new S3Error('InvalidBucketName', { fields: { BucketName: name } });
  }
}

/**
 * Checks the length of a key in UTF-8. Every character is allowed.
 *
 * @throws S3Error `KeyTooLongError`, or `InvalidArgument` for an empty one.
 */
export function requireObjectKey(key: string): void {
  // No key of so few UTF-16 units can be too long: a unit takes at most three bytes.
  if (key.length > 0 && key.length * 3 <= OBJECT_KEY_BYTES_MAX) return;
  if (key === '') throw S3Error.of('InvalidArgument', 'An object key has at least one character.');
  const sizeBytes = Buffer.byteLength(key);
  if (sizeBytes > OBJECT_KEY_BYTES_MAX) {
    throw new S3Error('KeyTooLongError', {
      fields: { Size: String(sizeBytes), MaxSizeAllowed: String(OBJECT_KEY_BYTES_MAX) },
    });
  }
}

function isBucketName(name: string): boolean {
  return (
    name.length >= BUCKET_NAME_LENGTH_MIN &&
    name.length <= BUCKET_NAME_LENGTH_MAX &&
    FORM.test(name) &&
    !name.includes('..') &&
    !IP_ADDRESS.test(name) &&
    !RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix)) &&
    !RESERVED_SUFFIXES.some((suffix) => name.endsWith(suffix))
  );
}
