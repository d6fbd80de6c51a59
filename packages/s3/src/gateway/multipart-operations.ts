/**
 * Operations on multipart uploads, but for the parts' bodies.
 */
import { S3Error } from '../errors.ts';
import { LIST_DOCUMENT_BYTES_MAX } from '../limits.ts';
import {
  checksumHeaders,
  combineChecksums,
  parseCompleteMultipartUpload,
  parseExpectedObject,
  parseListParameters,
  parseObjectHeaders,
  parsePartNumberMarker,
  parseUploadChecksum,
  parseWriteConditions,
  renderCompleteMultipartUpload,
  renderInitiateMultipartUpload,
  renderListParts,
} from '../protocol/index.ts';
import type { ExpectedObject, ObjectChecksum, ObjectRoute } from '../protocol/index.ts';
import type { CompletePlan } from '../store/multipart-plan.ts';
import type { UploadName } from '../store/multipart-uploads.ts';
import type { UploadRecord } from '../store/records.ts';
import { readDocument } from './document-body.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayContext } from './gateway-context.ts';
import { guardOf } from './put-object.ts';

/** CreateMultipartUpload. */
export async function createMultipartUpload(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const checksum = parseUploadChecksum(route.headers);
  const headers = parseObjectHeaders(route.headers);
  const uploadId = await context.store.uploads.create(route, headers, checksum);
  const extra =
    checksum === undefined
      ? []
      : ['x-amz-checksum-algorithm', checksum.algorithm, 'x-amz-checksum-type', checksum.type];
  const { bucket, key } = route;
  exchange.sendXml(200, renderInitiateMultipartUpload({ bucket, key, uploadId }), extra);
}

/** CompleteMultipartUpload. */
export async function completeMultipartUpload(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const guard = guardOf(parseWriteConditions(route.headers));
  const expected = parseExpectedObject(route.headers);
  const body = await readDocument(context, exchange, route, LIST_DOCUMENT_BYTES_MAX);
  const parts = parseCompleteMultipartUpload(body);
  const object = await context.store.uploads.complete(uploadNameOf(route), {
    parts,
    guard,
    describe: (upload, plan) => ({
      lastModifiedMs: context.clock.wallMs(),
      sizeBytes: checkedSize(plan, expected),
      etag: plan.etag,
      checksum: checkedChecksum(upload, plan, expected),
      headers: upload.headers,
    }),
  });
  const { bucket, key } = route;
  const host = route.headers.get('host') ?? '';
  const location = `${exchange.isEncrypted ? 'https' : 'http'}://${host}${route.rawPath}`;
  const { etag, checksum } = object;
  exchange.sendXml(
    200,
    renderCompleteMultipartUpload({ location, bucket, key, etag, checksum }),
    checksum === undefined ? [] : Object.entries(checksumHeaders(checksum)).flat(),
  );
}

/** AbortMultipartUpload. */
export async function abortMultipartUpload(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  await context.store.uploads.abort(uploadNameOf(route));
  exchange.sendEmpty(204);
}

/** ListParts. */
export async function listParts(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const parameters = parseListParameters(route.query, 'max-parts');
  const partNumberMarker = parsePartNumberMarker(route.query);
  const name = uploadNameOf(route);
  const page = await context.store.uploads.listParts(name, partNumberMarker, parameters.rowsMax);
  const { upload, isTruncated } = page;
  const { rowsMax } = parameters;
  const parts = page.parts.map(({ partNumber, lastModifiedMs, etag, blob, checksum }) => ({
    partNumber,
    lastModifiedMs,
    etag,
    sizeBytes: blob.sizeBytes,
    checksum,
  }));
  exchange.sendXml(
    200,
    renderListParts({
      ...name,
      owner: context.owner,
      partNumberMarker,
      nextPartNumberMarker: parts.at(-1)?.partNumber,
      rowsMax,
      isTruncated,
      parts,
      checksum: upload.checksum,
    }),
  );
}

function uploadNameOf(route: ObjectRoute): UploadName {
  const { bucket, key } = route;
  return { bucket, key, uploadId: route.query.get('uploadId') ?? '' };
}

function checkedSize(plan: CompletePlan, expected: ExpectedObject): number {
  const { sizeBytes } = plan;
  if (expected.sizeBytes !== undefined && expected.sizeBytes !== sizeBytes) {
    throw new S3Error('InvalidRequest', {
      message: 'The provided x-amz-mp-object-size does not match the size of the parts together.',
      fields: { ProposedSize: String(expected.sizeBytes), ActualSize: String(sizeBytes) },
    });
  }
  return sizeBytes;
}

/** The checksum of the object, made of those of its parts, and what the client says it is. */
function checkedChecksum(
  upload: UploadRecord,
  plan: CompletePlan,
  expected: ExpectedObject,
): ObjectChecksum | undefined {
  if (upload.checksum === undefined) return undefined;
  const { algorithm, type } = upload.checksum;
  if (expected.checksumType !== undefined && expected.checksumType !== type) {
    throw S3Error.of(
      'InvalidRequest',
      `The upload was created with the checksum type ${type}, not ${expected.checksumType}.`,
    );
  }
  const values = plan.parts.map((part) => {
    if (part.checksum?.algorithm !== algorithm) throw new S3Error('InvalidPart');
    return { sizeBytes: part.blob.sizeBytes, value: part.checksum.value };
  });
  const combined = combineChecksums(upload.checksum, values);
  const sent = expected.checksum;
  if (sent !== undefined && !isSame(sent.value, combined.value, sent.algorithm === algorithm)) {
    throw S3Error.of(
      'BadDigest',
      `The ${sent.algorithm} you specified did not match the calculated checksum.`,
    );
  }
  return combined;
}

/** A composite may be sent with or without the number of parts. */
function isSame(sent: string, combined: string, sameAlgorithm: boolean): boolean {
  return sameAlgorithm && (sent === combined || combined.startsWith(`${sent}-`));
}
