/**
 * The listings of a bucket: objects in three dialects, and multipart uploads.
 */
import { invalidArgument } from '../errors.ts';
import { OBJECT_KEY_BYTES_MAX } from '../limits.ts';
import {
  parseListParameters,
  renderListMultipartUploads,
  renderListObjects,
  renderListObjectsV2,
  renderListObjectVersions,
} from '../protocol/index.ts';
import type { BucketRoute } from '../protocol/index.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayContext } from './gateway-context.ts';

/** ListObjects. */
export async function listObjects(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const parameters = parseListParameters(route.query, 'max-keys');
  const { bucket } = route;
  const marker = route.query.get('marker') ?? '';
  const page = await context.store.listing.objects({ bucket, ...parameters, marker });
  const { rows: objects, commonPrefixes, isTruncated } = page;
  const nextMarker = isTruncated && parameters.delimiter !== '' ? page.nextMarker : undefined;
  const { owner } = context;
  exchange.sendXml(
    200,
    renderListObjects({
      bucket,
      ...parameters,
      marker,
      nextMarker,
      isTruncated,
      objects,
      commonPrefixes,
      owner,
    }),
  );
}

/** ListObjectsV2. */
export async function listObjectsV2(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const { query, bucket } = route;
  const parameters = parseListParameters(query, 'max-keys');
  const continuationToken = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const marker =
    continuationToken === undefined ? (startAfter ?? '') : markerOfToken(continuationToken);
  const page = await context.store.listing.objects({ bucket, ...parameters, marker });
  const { rows: objects, commonPrefixes, isTruncated, nextMarker } = page;
  const nextContinuationToken =
    isTruncated && nextMarker !== undefined ? tokenOfMarker(nextMarker) : undefined;
  exchange.sendXml(
    200,
    renderListObjectsV2({
      bucket,
      ...parameters,
      startAfter,
      continuationToken,
      nextContinuationToken,
      isTruncated,
      objects,
      commonPrefixes,
      owner: query.get('fetch-owner') === 'true' ? context.owner : undefined,
    }),
  );
}

/** ListObjectVersions: each object has one version, whose id is `null`. */
export async function listObjectVersions(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const { query, bucket } = route;
  const parameters = parseListParameters(query, 'max-keys');
  const keyMarker = query.get('key-marker') ?? '';
  const versionIdMarker = query.get('version-id-marker') ?? '';
  if (versionIdMarker !== '' && keyMarker === '') {
    const message = 'A version-id marker cannot be specified without a key marker.';
    throw invalidArgument('version-id-marker', versionIdMarker, message);
  }
  const page = await context.store.listing.objects({ bucket, ...parameters, marker: keyMarker });
  const { rows: objects, commonPrefixes, isTruncated } = page;
  const endsInPrefix = commonPrefixes.at(-1) === page.nextMarker;
  exchange.sendXml(
    200,
    renderListObjectVersions({
      bucket,
      ...parameters,
      keyMarker,
      versionIdMarker,
      nextKeyMarker: isTruncated ? page.nextMarker : undefined,
      nextVersionIdMarker: isTruncated && !endsInPrefix ? 'null' : undefined,
      isTruncated,
      objects,
      commonPrefixes,
      owner: context.owner,
    }),
  );
}

/** ListMultipartUploads. */
export async function listMultipartUploads(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const { query, bucket } = route;
  const parameters = parseListParameters(query, 'max-uploads');
  const keyMarker = query.get('key-marker') ?? '';
  // Without a key marker it says nothing, and is ignored, as S3 does.
  const uploadIdMarker = keyMarker === '' ? '' : (query.get('upload-id-marker') ?? '');
  if (uploadIdMarker !== '' && !/^[0-9a-f]{32}$/i.test(uploadIdMarker)) {
    throw invalidArgument('upload-id-marker', uploadIdMarker, 'Invalid uploadId marker');
  }
  const { listing } = context.store;
  const page = await listing.uploads({ bucket, ...parameters, marker: keyMarker }, uploadIdMarker);
  const { rows: uploads, commonPrefixes, isTruncated } = page;
  exchange.sendXml(
    200,
    renderListMultipartUploads({
      bucket,
      ...parameters,
      keyMarker,
      uploadIdMarker,
      nextKeyMarker: isTruncated ? page.nextMarker : undefined,
      nextUploadIdMarker: isTruncated ? page.nextUploadIdMarker : undefined,
      isTruncated,
      uploads,
      commonPrefixes,
      owner: context.owner,
    }),
  );
}

/** What stands in front of the marker in a token, so that a made-up one is recognized. */
const TOKEN_VERSION = '1';

/** A continuation token: opaque to clients, the marker to us. */
function tokenOfMarker(marker: string): string {
  return Buffer.from(TOKEN_VERSION + marker, 'utf8').toString('base64url');
}

/** The counterpart of {@link tokenOfMarker}. @throws S3Error `InvalidArgument` */
function markerOfToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString('utf8');
  const marker = text.slice(TOKEN_VERSION.length);
  const isOurs = tokenOfMarker(marker) === token;
  if (marker === '' || !isOurs || Buffer.byteLength(marker) > OBJECT_KEY_BYTES_MAX) {
    throw invalidArgument(
      'continuation-token',
      token,
      'The continuation token provided is incorrect',
    );
  }
  return marker;
}
