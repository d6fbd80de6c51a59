/**
 * Sub-resources that Dozo does not keep, and what a GET of each finds.
 *
 * A configuration that cannot be set is never there: its GET says so with the code that clients
 * expect, its DELETE succeeds (nothing is there afterwards), its PUT is `NotImplemented`.
 *
 * Source: S3 API Reference, the Get... action of each.
 */
import type { S3ErrorCode } from '../errors.ts';

/** What a GET finds. */
export type SubresourceAnswer =
  /** Nothing: this code. */
  | { readonly kind: 'missing'; readonly code: S3ErrorCode }
  /** An empty configuration: the element of this name. */
  | { readonly kind: 'empty'; readonly element: string; readonly content?: string }
  /** The owner may do everything. */
  | { readonly kind: 'acl' }
  /** Not implemented, whatever the method. */
  | { readonly kind: 'unknown' };

/** One row of the tables. */
export interface Subresource {
  readonly get: SubresourceAnswer;
  /** Whether S3 knows a DELETE of it. */
  readonly canDelete: boolean;
}

const missing = (code: S3ErrorCode, canDelete = false): Subresource => ({
  get: { kind: 'missing', code },
  canDelete,
});
const empty = (element: string, content = '', canDelete = false): Subresource => ({
  get: { kind: 'empty', element, content },
  canDelete,
});
const unknown: Subresource = { get: { kind: 'unknown' }, canDelete: false };
const acl: Subresource = { get: { kind: 'acl' }, canDelete: false };

/** Sub-resources of a bucket, by the name of the query parameter. */
export const BUCKET_SUBRESOURCES: Readonly<Record<string, Subresource>> = {
  accelerate: empty('AccelerateConfiguration'),
  acl,
  analytics: unknown,
  cors: missing('NoSuchCORSConfiguration', true),
  encryption: missing('ServerSideEncryptionConfigurationNotFoundError', true),
  'intelligent-tiering': unknown,
  inventory: unknown,
  lifecycle: missing('NoSuchLifecycleConfiguration', true),
  logging: empty('BucketLoggingStatus'),
  metadataConfiguration: unknown,
  metadataTable: unknown,
  metrics: unknown,
  notification: empty('NotificationConfiguration'),
  'object-lock': missing('ObjectLockConfigurationNotFoundError'),
  ownershipControls: missing('OwnershipControlsNotFoundError', true),
  policy: missing('NoSuchBucketPolicy', true),
  policyStatus: missing('NoSuchBucketPolicy'),
  publicAccessBlock: missing('NoSuchPublicAccessBlockConfiguration', true),
  replication: missing('ReplicationConfigurationNotFoundError', true),
  requestPayment: empty('RequestPaymentConfiguration', '<Payer>BucketOwner</Payer>'),
  session: unknown,
  tagging: missing('NoSuchTagSet', true),
  versioning: empty('VersioningConfiguration'),
  website: missing('NoSuchWebsiteConfiguration', true),
};

/** Sub-resources of an object. */
export const OBJECT_SUBRESOURCES: Readonly<Record<string, Subresource>> = {
  acl,
  append: unknown,
  attributes: unknown,
  encryption: unknown,
  'legal-hold': missing('NoSuchObjectLockConfiguration'),
  renameObject: unknown,
  restore: unknown,
  retention: missing('NoSuchObjectLockConfiguration'),
  select: unknown,
  tagging: empty('Tagging', '<TagSet/>', true),
  torrent: unknown,
};
