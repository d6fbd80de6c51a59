/**
 * Which function does which operation.
 */
import { S3Error } from '../errors.ts';
import { SMALL_DOCUMENT_BYTES_MAX } from '../limits.ts';
import { answerObjectSubresource, parseWriteConditions } from '../protocol/index.ts';
import type { BucketOperation, ObjectOperation, ObjectRoute, Route } from '../protocol/index.ts';
import {
  bucketSubresource,
  createBucket,
  deleteBucket,
  deleteObjects,
  getBucketLocation,
  headBucket,
  listBuckets,
} from './bucket-operations.ts';
import { copyObject, uploadPartCopy } from './copy-object.ts';
import { readDocument } from './document-body.ts';
import type { Exchange } from './exchange.ts';
import type { BucketHandler, GatewayContext, ObjectHandler } from './gateway-context.ts';
import { getObject, headObject } from './get-object.ts';
import {
  listMultipartUploads,
  listObjects,
  listObjectsV2,
  listObjectVersions,
} from './list-operations.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listParts,
} from './multipart-operations.ts';
import { guardOf, putObject, uploadPart } from './put-object.ts';

const BUCKET_OPERATIONS: Readonly<Record<BucketOperation, BucketHandler>> = {
  CreateBucket: createBucket,
  HeadBucket: headBucket,
  DeleteBucket: deleteBucket,
  ListObjects: listObjects,
  ListObjectsV2: listObjectsV2,
  ListObjectVersions: listObjectVersions,
  ListMultipartUploads: listMultipartUploads,
  DeleteObjects: deleteObjects,
  GetBucketLocation: getBucketLocation,
  BucketSubresource: bucketSubresource,
};

const OBJECT_OPERATIONS: Readonly<Record<ObjectOperation, ObjectHandler>> = {
  GetObject: getObject,
  HeadObject: headObject,
  PutObject: putObject,
  CopyObject: copyObject,
  DeleteObject: deleteObject,
  CreateMultipartUpload: createMultipartUpload,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
  ListParts: listParts,
  ObjectSubresource: objectSubresource,
};

/** Does what a request asks for. May throw at once or reject; both are the answer. */
export function dispatch(context: GatewayContext, exchange: Exchange, route: Route): Promise<void> {
  switch (route.scope) {
    case 'service':
      return listBuckets(context, exchange, route);
    case 'bucket':
      return BUCKET_OPERATIONS[route.operation](context, exchange, route);
    case 'object':
      return OBJECT_OPERATIONS[route.operation](context, exchange, route);
  }
}

async function deleteObject(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  if (route.headers.has('if-none-match')) {
    throw new S3Error('NotImplemented', {
      message: 'A delete takes If-Match only.',
      fields: { Header: 'If-None-Match' },
    });
  }
  const guard = guardOf(parseWriteConditions(route.headers));
  await context.store.objects.delete(route, guard);
  exchange.sendEmpty(204);
}

async function objectSubresource(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const body = await readDocument(context, exchange, route, SMALL_DOCUMENT_BYTES_MAX);
  await context.store.objects.find(route);
  const answer = answerObjectSubresource(route, context.owner, body);
  if (answer.body === '') exchange.sendEmpty(answer.status);
  else exchange.sendXml(answer.status, answer.body);
}
