/**
 * The S3 protocol, pure: parse, check signatures, decode bodies, render. No I/O, no time of its own.
 */
export { requireObjectKey } from './bucket-name.ts';
export type {
  Checksum,
  ChecksumAlgorithm,
  ChecksumType,
  ObjectChecksum,
  UploadChecksum,
} from './checksum.ts';
export { combineChecksums } from './checksum-combine.ts';
export {
  checksumHeaders,
  parseChecksumAlgorithm,
  parseExpectedObject,
  parseUploadChecksum,
  wantsChecksum,
} from './checksum-headers.ts';
export type { ExpectedObject } from './checksum-headers.ts';
export {
  checkCopySourceConditions,
  checkWriteConditions,
  evaluateReadConditions,
  parseCopySourceConditions,
  parseReadConditions,
  parseWriteConditions,
} from './conditions.ts';
export type { Conditions } from './conditions.ts';
export { parseCopySource, parseMetadataDirective } from './copy-source.ts';
export { parseRequestHeaders } from './headers.ts';
export type { RequestHead } from './headers.ts';
export { httpDate } from './dates.ts';
export { parseListParameters, parsePartNumber, parsePartNumberMarker } from './list-parameters.ts';
export { parseObjectHeaders, renderObjectHeaders } from './object-headers.ts';
export type { ObjectHeaders } from './object-headers.ts';
export { createBodyDecoder, decodeWholeBody } from './payload.ts';
export type { BodyDecoder, BodySummary } from './payload-decoder.ts';
export { planBody } from './payload-plan.ts';
export type { BodyPlan } from './payload-plan.ts';
export { contentRange, parseCopySourceRange, parseRange } from './range.ts';
export type { BodyRange } from './range.ts';
export { routeRequest } from './route.ts';
export type {
  BucketOperation,
  BucketRoute,
  ObjectOperation,
  ObjectRoute,
  Route,
  ServiceRoute,
} from './route.ts';
export { SignatureVerifier } from './signature-v4.ts';
export type { Authentication } from './signature-v4.ts';
export {
  answerBucketSubresource,
  answerObjectSubresource,
  checkExpectedOwner,
  refuseUnsupportedHeaders,
} from './subresources.ts';
export {
  parseCompleteMultipartUpload,
  parseCreateBucketConfiguration,
  parseDelete,
} from './xml-parse.ts';
export type { CompletedPart, DeleteRequestObject } from './xml-parse.ts';
export {
  renderCompleteMultipartUpload,
  renderCopyObject,
  renderCopyPart,
  renderDeleteResult,
  renderError,
  renderInitiateMultipartUpload,
  renderLocation,
} from './xml-render.ts';
export type { DeletedKey, DeleteFailure, Owner } from './xml-render.ts';
export {
  renderListBuckets,
  renderListMultipartUploads,
  renderListObjects,
  renderListObjectsV2,
  renderListObjectVersions,
  renderListParts,
} from './xml-render-list.ts';
