import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { parseRequestHeaders } from './headers.ts';
import { routeRequest } from './route.ts';
import { BUCKET_SUBRESOURCES, OBJECT_SUBRESOURCES } from './subresource-table.ts';
import {
  answerBucketSubresource,
  answerObjectSubresource,
  checkExpectedOwner,
  refuseUnsupportedHeaders,
} from './subresources.ts';
import type { FixedAnswer } from './subresources.ts';

const OWNER = { id: 'dozo', displayName: 'Dozo' };

function answer(line: string, body = '', headers: readonly string[] = []): FixedAnswer {
  const [method = '', target = ''] = line.split(' ');
  const head = { method, target, headers: parseRequestHeaders(headers) };
  const route = routeRequest(head, []);
  if (route.scope === 'bucket') return answerBucketSubresource(route, OWNER, Buffer.from(body));
  if (route.scope === 'object') return answerObjectSubresource(route, OWNER, Buffer.from(body));
  throw new Error('no sub-resource');
}

function codeOf(...input: Parameters<typeof answer>): string {
  return refusal(() => answer(...input)).code;
}

describe('sub-resources that nobody set', () => {
  it.each([
    ['GET /photos?policy', 'NoSuchBucketPolicy'],
    ['GET /photos?policyStatus', 'NoSuchBucketPolicy'],
    ['GET /photos?cors', 'NoSuchCORSConfiguration'],
    ['GET /photos?lifecycle', 'NoSuchLifecycleConfiguration'],
    ['GET /photos?tagging', 'NoSuchTagSet'],
    ['GET /photos?website', 'NoSuchWebsiteConfiguration'],
    ['GET /photos?encryption', 'ServerSideEncryptionConfigurationNotFoundError'],
    ['GET /photos?replication', 'ReplicationConfigurationNotFoundError'],
    ['GET /photos?object-lock', 'ObjectLockConfigurationNotFoundError'],
    ['GET /photos?ownershipControls', 'OwnershipControlsNotFoundError'],
    ['GET /photos?publicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
    ['GET /photos/a?retention', 'NoSuchObjectLockConfiguration'],
    ['GET /photos/a?legal-hold', 'NoSuchObjectLockConfiguration'],
    ['GET /photos?metrics', 'NotImplemented'],
    ['GET /photos/a?torrent', 'NotImplemented'],
    ['POST /photos/a?restore', 'NotImplemented'],
    ['PUT /photos?versioning', 'NotImplemented'],
    ['PUT /photos?policy', 'NotImplemented'],
    ['DELETE /photos?versioning', 'MethodNotAllowed'],
    ['POST /photos?cors', 'MethodNotAllowed'],
  ])('%s answers %s', (line, code) => {
    expect(codeOf(line)).toBe(code);
  });

  it.each([
    ['GET /photos?versioning', '<VersioningConfiguration'],
    ['GET /photos?logging', '<BucketLoggingStatus'],
    ['GET /photos?notification', '<NotificationConfiguration'],
    ['GET /photos?requestPayment', '<Payer>BucketOwner</Payer>'],
    ['GET /photos?accelerate', '<AccelerateConfiguration'],
    ['GET /photos/a?tagging', '<TagSet/>'],
    ['GET /photos?acl', '<ID>dozo</ID>'],
    ['GET /photos/a?acl', '<Permission>FULL_CONTROL</Permission>'],
  ])('%s answers with %s', (line, text) => {
    const { status, body } = answer(line);
    expect(status).toBe(200);
    expect(body).toContain(text);
  });

  it('deletes what is not there', () => {
    for (const line of [
      'DELETE /photos?policy',
      'DELETE /photos?cors',
      'DELETE /photos/a?tagging',
    ]) {
      expect(answer(line)).toEqual({ status: 204, body: '' });
    }
  });

  it('has an answer for a GET of each', () => {
    for (const [table, path] of [
      [BUCKET_SUBRESOURCES, '/photos'],
      [OBJECT_SUBRESOURCES, '/photos/a'],
    ] as const) {
      for (const [name, row] of Object.entries(table)) {
        const run = (): FixedAnswer => answer(`GET ${path}?${name}`);
        if (row.get.kind === 'unknown') expect(refusal(run).code).toBe('NotImplemented');
        else if (row.get.kind === 'missing') expect(refusal(run).status).toBe(404);
        else expect(run().status).toBe(200);
      }
    }
  });
});

describe('access control', () => {
  const grant = (id: string, permission: string): string =>
    '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ' +
    `xsi:type="CanonicalUser"><ID>${id}</ID></Grantee><Permission>${permission}</Permission></Grant>`;
  const policy = (grants: string): string =>
    `<AccessControlPolicy><Owner><ID>dozo</ID></Owner><AccessControlList>${grants}</AccessControlList></AccessControlPolicy>`;

  it('accepts what changes nothing', () => {
    expect(answer('PUT /photos/a?acl', '', ['x-amz-acl', 'private']).status).toBe(200);
    expect(answer('PUT /photos?acl', policy(grant('dozo', 'FULL_CONTROL'))).status).toBe(200);
    expect(answer('PUT /photos?acl', answer('GET /photos?acl').body).status).toBe(200);
  });

  it('refuses everything else', () => {
    expect(codeOf('PUT /photos?acl', '', ['x-amz-acl', 'public-read'])).toBe('NotImplemented');
    expect(codeOf('PUT /photos?acl', '', ['x-amz-grant-read', 'id=x'])).toBe('NotImplemented');
    const shared = policy(grant('dozo', 'FULL_CONTROL') + grant('other', 'READ'));
    expect(codeOf('PUT /photos?acl', shared)).toBe('NotImplemented');
    expect(codeOf('PUT /photos?acl', policy(grant('dozo', 'READ')))).toBe('NotImplemented');
    expect(codeOf('PUT /photos?acl', policy(''))).toBe('NotImplemented');
    expect(codeOf('PUT /photos?acl', '<a/>')).toBe('MalformedXML');
    expect(codeOf('PUT /photos?acl')).toBe('InvalidArgument');
  });

  it('accepts a set of no tags, and no other', () => {
    const tag = '<Tag><Key>a</Key><Value>b</Value></Tag>';
    const tagging = (tags: string): string => `<Tagging><TagSet>${tags}</TagSet></Tagging>`;
    expect(answer('PUT /photos/a?tagging', tagging('')).status).toBe(200);
    expect(codeOf('PUT /photos/a?tagging', tagging(tag))).toBe('NotImplemented');
  });
});

describe('headers that ask for what is not there', () => {
  it.each([
    ['x-amz-acl', 'public-read', 'NotImplemented'],
    ['x-amz-grant-read', 'id=1', 'NotImplemented'],
    ['x-amz-server-side-encryption', 'AES256', 'NotImplemented'],
    ['x-amz-server-side-encryption-customer-key', 'a', 'NotImplemented'],
    ['x-amz-copy-source-server-side-encryption-customer-key', 'a', 'NotImplemented'],
    ['x-amz-tagging', 'a=b', 'NotImplemented'],
    ['x-amz-website-redirect-location', '/', 'NotImplemented'],
    ['x-amz-write-offset-bytes', '5', 'NotImplemented'],
    ['x-amz-if-match-size', '5', 'NotImplemented'],
    ['x-amz-bucket-object-lock-enabled', 'true', 'NotImplemented'],
    ['x-amz-object-ownership', 'ObjectWriter', 'NotImplemented'],
    ['x-amz-storage-class', 'GLACIER', 'InvalidStorageClass'],
    ['x-amz-object-lock-mode', 'GOVERNANCE', 'InvalidRequest'],
    ['x-amz-object-lock-legal-hold', 'ON', 'InvalidRequest'],
  ])('%s: %s is refused as %s', (name, value, code) => {
    expect(refusal(() => refuseUnsupportedHeaders(new Map([[name, value]]))).code).toBe(code);
  });

  it('lets pass what means what is done anyway', () => {
    const headers = new Map([
      ['x-amz-acl', 'bucket-owner-full-control'],
      ['x-amz-storage-class', 'STANDARD'],
      ['x-amz-tagging', ''],
      ['x-amz-object-lock-legal-hold', 'OFF'],
      ['x-amz-bucket-object-lock-enabled', 'false'],
      ['x-amz-object-ownership', 'BucketOwnerEnforced'],
      ['x-amz-meta-a', 'b'],
      ['x-amz-request-payer', 'requester'],
    ]);
    expect(() => refuseUnsupportedHeaders(headers)).not.toThrow();
  });
});

it('refuses a request that expects another owner', () => {
  const expecting = (owner: string): (() => void) => {
    const headers = new Map([['x-amz-expected-bucket-owner', owner]]);
    return () => checkExpectedOwner(headers, OWNER);
  };
  expect(expecting('dozo')).not.toThrow();
  expect(refusal(expecting('111122223333')).code).toBe('AccessDenied');
});
