/** The headers by which CopyObject and UploadPartCopy name what they copy. */
import { invalidArgument } from '../errors.ts';
import { requireBucketName, requireObjectKey } from './bucket-name.ts';
import type { RequestHeaders } from './headers.ts';
import { percentDecode } from './percent.ts';
import { requireNullVersion } from './version-id.ts';

/** Where a copy comes from. */
export interface CopySource {
  readonly bucket: string;
  readonly key: string;
}

const NAME = 'x-amz-copy-source';

/**
 * `x-amz-copy-source`: `bucket/key` or `/bucket/key`, percent-encoded, with `?versionId=null` or not.
 *
 * @throws S3Error `InvalidArgument`, `InvalidBucketName`, `KeyTooLongError`.
 */
export function parseCopySource(headers: RequestHeaders): CopySource {
  const text = headers.get(NAME) ?? '';
  // A key may hold an escaped question mark, never a bare one.
  const question = text.indexOf('?versionId=');
  const path = question < 0 ? text : text.slice(0, question);
  if (question >= 0) requireNullVersion(text.slice(question + '?versionId='.length));
  const decoded = percentDecode(path);
  const name = decoded?.startsWith('/') === true ? decoded.slice(1) : (decoded ?? '');
  const slash = name.indexOf('/');
  if (slash <= 0 || slash === name.length - 1) {
    const message =
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey, percent-encoded.';
    throw invalidArgument(NAME, text, message);
  }
  const source = { bucket: name.slice(0, slash), key: name.slice(slash + 1) };
  requireBucketName(source.bucket);
  requireObjectKey(source.key);
  return source;
}

/**
 * `x-amz-metadata-directive`: whether a copy takes the headers of its source or of the request.
 *
 * @throws S3Error `InvalidArgument`.
 */
export function parseMetadataDirective(headers: RequestHeaders): 'COPY' | 'REPLACE' {
  const name = 'x-amz-metadata-directive';
  const text = headers.get(name) ?? 'COPY';
  if (text !== 'COPY' && text !== 'REPLACE') {
    throw invalidArgument(name, text, 'Unknown metadata directive. Send COPY or REPLACE.');
  }
  return text;
}
