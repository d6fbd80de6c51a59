/**
 * Operations on buckets, but for the listings of what is in them.
 */
import { S3Error } from '../errors.ts';
import {
  DELETES_AT_ONCE_MAX,
  LIST_DOCUMENT_BYTES_MAX,
  SMALL_DOCUMENT_BYTES_MAX,
} from '../limits.ts';
import {
  answerBucketSubresource,
  checkWriteConditions,
  parseCreateBucketConfiguration,
  parseDelete,
  renderDeleteResult,
  renderListBuckets,
  renderLocation,
  requireObjectKey,
} from '../protocol/index.ts';
import type {
  BucketRoute,
  DeletedKey,
  DeleteFailure,
  DeleteRequestObject,
  ServiceRoute,
} from '../protocol/index.ts';
import { readDocument } from './document-body.ts';
import type { Exchange } from './exchange.ts';
import { asS3Error } from './failure.ts';
import type { GatewayContext } from './gateway-context.ts';

/** ListBuckets. */
export async function listBuckets(
  context: GatewayContext,
  exchange: Exchange,
  route: ServiceRoute,
): Promise<void> {
  const { query } = route;
  const prefix = query.get('prefix');
  const marker = query.get('continuation-token') ?? '';
  const rowsText = query.get('max-buckets');
  const rowsMax =
    rowsText !== undefined && /^\d{1,6}$/.test(rowsText) ? Number(rowsText) : Infinity;
  const all = (await context.store.directory.list())
    .map(({ name, record }) => ({ name, createdMs: record.createdMs }))
    .filter(({ name }) => name.startsWith(prefix ?? '') && name > marker);
  const isTruncated = all.length > rowsMax && rowsMax > 0;
  const buckets = isTruncated ? all.slice(0, rowsMax) : all;
  const continuationToken = isTruncated ? buckets.at(-1)?.name : undefined;
  const { owner } = context;
  exchange.sendXml(200, renderListBuckets({ owner, buckets, prefix, continuationToken }));
}

/** CreateBucket. */
export async function createBucket(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const body = await readDocument(context, exchange, route, SMALL_DOCUMENT_BYTES_MAX);
  // Any location will do: clients send the region that they are set to, and there is only one.
  parseCreateBucketConfiguration(body);
  await context.store.directory.create(route.bucket, context.owner.id);
  exchange.sendEmpty(200, ['Location', `/${route.bucket}`]);
}

/** HeadBucket. */
export async function headBucket(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  await context.store.directory.open(route.bucket);
  exchange.sendEmpty(200, ['x-amz-bucket-region', context.region ?? 'us-east-1']);
}

/** DeleteBucket. */
export async function deleteBucket(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  await context.store.directory.delete(route.bucket);
  exchange.sendEmpty(204);
}

/** GetBucketLocation. */
export async function getBucketLocation(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  await context.store.directory.open(route.bucket);
  exchange.sendXml(200, renderLocation(context.region));
}

/** Sub-resources of a bucket that have one answer, or none. */
export async function bucketSubresource(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const body = await readDocument(context, exchange, route, SMALL_DOCUMENT_BYTES_MAX);
  await context.store.directory.open(route.bucket);
  const answer = answerBucketSubresource(route, context.owner, body);
  if (answer.body === '') exchange.sendEmpty(answer.status);
  else exchange.sendXml(answer.status, answer.body);
}

/** DeleteObjects: each key is a transaction of its own, and has a row of its own in the answer. */
export async function deleteObjects(
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
): Promise<void> {
  const body = await readDocument(context, exchange, route, LIST_DOCUMENT_BYTES_MAX);
  const request = parseDelete(body);
  await context.store.directory.open(route.bucket);
  const outcomes = new Array<DeletedKey | DeleteFailure>(request.objects.length);
  let next = 0;
  const deleteSome = async (): Promise<void> => {
    while (next < request.objects.length && !exchange.isGone) {
      const index = next;
      next += 1;
      const object = request.objects[index] as DeleteRequestObject;
      outcomes[index] = await deleteOne(context, exchange, route.bucket, object);
    }
  };
  await Promise.all(Array.from({ length: DELETES_AT_ONCE_MAX }, deleteSome));
  const deleted = outcomes.filter((outcome) => !('code' in outcome));
  const failures = outcomes.filter((outcome) => 'code' in outcome);
  exchange.sendXml(200, renderDeleteResult({ quiet: request.quiet, deleted, failures }));
}

async function deleteOne(
  context: GatewayContext,
  exchange: Exchange,
  bucket: string,
  object: DeleteRequestObject,
): Promise<DeletedKey | DeleteFailure> {
  const { key, versionId, etag } = object;
  try {
    requireObjectKey(key);
    if (versionId !== undefined && versionId !== 'null' && versionId !== '') {
      throw S3Error.of('NotImplemented', 'Buckets have no versions here; the only one is null.');
    }
    const guard =
      etag === undefined
        ? undefined
        : (existing: Parameters<typeof checkWriteConditions>[1]) =>
            checkWriteConditions({ ifMatch: etag }, existing);
    await context.store.objects.delete({ bucket, key }, guard);
    return { key, versionId };
  } catch (error) {
    const { code, message } = asS3Error(error);
    if (!(error instanceof S3Error)) {
      const { requestId } = exchange;
      context.logger.warn({ requestId, bucket, key, err: error }, 'an object was not deleted');
    }
    return { key, versionId, code, message };
  }
}
