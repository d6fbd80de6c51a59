import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { OBJECT_KEY_BYTES_MAX } from '../limits.ts';
import { parseRequestHeaders } from './headers.ts';
import { routeRequest } from './route.ts';
import type { Route } from './route.ts';

function route(line: string, headers: readonly string[] = [], domains = ['s3.example']): Route {
  const [method = '', target = ''] = line.split(' ');
  const host = headers.includes('host') ? [] : ['host', 'localhost:9000'];
  return routeRequest(
    { method, target, headers: parseRequestHeaders([...host, ...headers]) },
    domains,
  );
}

function codeOf(line: string, headers: readonly string[] = []): string {
  return refusal(() => route(line, headers)).code;
}

describe('operations', () => {
  it.each([
    ['GET /', 'ListBuckets'],
    ['GET /?x-id=ListBuckets', 'ListBuckets'],
    ['PUT /photos', 'CreateBucket'],
    ['PUT /photos/', 'CreateBucket'],
    ['HEAD /photos', 'HeadBucket'],
    ['DELETE /photos', 'DeleteBucket'],
    ['GET /photos', 'ListObjects'],
    ['GET /photos/?prefix=a&delimiter=&marker', 'ListObjects'],
    ['GET /photos?list-type=2&prefix', 'ListObjectsV2'],
    ['GET /photos?versions', 'ListObjectVersions'],
    ['GET /photos?uploads=', 'ListMultipartUploads'],
    ['GET /photos?location', 'GetBucketLocation'],
    ['POST /photos?delete', 'DeleteObjects'],
    ['GET /photos?policy', 'BucketSubresource'],
    ['PUT /photos?versioning', 'BucketSubresource'],
    ['GET /photos/a', 'GetObject'],
    ['GET /photos/a?partNumber=1', 'GetObject'],
    ['GET /photos/a?versionId=null&x-id=GetObject', 'GetObject'],
    ['GET /photos/a?response-content-type=', 'GetObject'],
    ['HEAD /photos/a', 'HeadObject'],
    ['PUT /photos/a', 'PutObject'],
    ['PUT /photos/a?x-id=PutObject', 'PutObject'],
    ['DELETE /photos/a', 'DeleteObject'],
    ['POST /photos/a?uploads', 'CreateMultipartUpload'],
    ['PUT /photos/a?partNumber=1&uploadId=u', 'UploadPart'],
    ['POST /photos/a?uploadId=u', 'CompleteMultipartUpload'],
    ['DELETE /photos/a?uploadId=u', 'AbortMultipartUpload'],
    ['GET /photos/a?uploadId=u', 'ListParts'],
    ['GET /photos/a?tagging', 'ObjectSubresource'],
    ['PUT /photos/a?acl', 'ObjectSubresource'],
  ])('%s is %s', (line, operation) => {
    expect(route(line).operation).toBe(operation);
  });

  it('knows copies by their header', () => {
    const source = ['x-amz-copy-source', '/a/b'];
    expect(route('PUT /photos/a', source).operation).toBe('CopyObject');
    expect(route('PUT /photos/a?partNumber=1&uploadId=u', source).operation).toBe('UploadPartCopy');
    expect(route('GET /photos/a', source).operation).toBe('GetObject');
  });

  it('names the sub-resource', () => {
    expect(route('GET /photos?x-id=GetBucketCors&cors=').subresource).toBe('cors');
    expect(route('GET /photos').subresource).toBeUndefined();
  });

  it.each([
    ['POST /', 'MethodNotAllowed'],
    ['PATCH /photos', 'MethodNotAllowed'],
    ['PUT /photos?uploads', 'MethodNotAllowed'],
    ['PUT /photos?delete', 'MethodNotAllowed'],
    ['POST /photos/a', 'MethodNotAllowed'],
    ['PUT /photos/a?uploads', 'MethodNotAllowed'],
    ['HEAD /photos/a?uploadId=u', 'MethodNotAllowed'],
    ['OPTIONS /photos/a', 'AccessForbidden'],
    ['POST /photos', 'NotImplemented'],
    ['PUT /photos/a?some-new-thing', 'NotImplemented'],
    ['PUT /photos?some-new-thing=', 'NotImplemented'],
    ['GET /?some-new-thing', 'NotImplemented'],
    ['PUT /photos/a?partNumber=1', 'InvalidArgument'],
    ['GET /photos/a?versionId=3HL4kqtJlcpXroDTDmJ', 'InvalidArgument'],
    ['GET //a', 'InvalidBucketName'],
    ['GET /Photos/a', 'InvalidBucketName'],
    ['GET /ab/a', 'InvalidBucketName'],
    ['GET *', 'InvalidURI'],
    ['GET photos/a', 'InvalidURI'],
    ['GET /photos/%zz', 'InvalidURI'],
    ['GET /photos/%ff', 'InvalidURI'],
    ['GET /photos/a?prefix=%', 'InvalidURI'],
    [`GET /photos/${'a'.repeat(OBJECT_KEY_BYTES_MAX + 1)}`, 'KeyTooLongError'],
    [`GET /photos/${'%C3%A9'.repeat(OBJECT_KEY_BYTES_MAX / 2)}a`, 'KeyTooLongError'],
  ])('%s is refused as %s', (line, code) => {
    expect(codeOf(line)).toBe(code);
  });
});

describe('addresses', () => {
  it.each([
    ['/photos/a//b/../c/./', 'a//b/../c/./'],
    ['/photos//a', '/a'],
    ['/photos/a+b%2Bc%20d', 'a+b+c d'],
    ['/photos/%2Fa%2f', '/a/'],
    ['/photos/%00%1f%7f', '\0\x1f\x7f'],
    ['/photos/a?prefix=b', 'a'],
    ['/photos/a%3Fprefix=b', 'a?prefix=b'],
    ['/photos/a#b', 'a#b'],
    ['http://elsewhere:1/photos/a', 'a'],
    [`/photos/${'a'.repeat(OBJECT_KEY_BYTES_MAX)}`, 'a'.repeat(OBJECT_KEY_BYTES_MAX)],
  ])('%s names the key %j', (target, key) => {
    expect(route(`GET ${target}`)).toMatchObject({ bucket: 'photos', key });
  });

  it('keeps any key that S3 allows', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), (key) => {
        expect(route(`GET /photos/${encodeURIComponent(key)}`)).toMatchObject({ key });
      }),
    );
  });

  it('knows buckets that are hosts, with and without port', () => {
    const head = ['host', 'My-Photos.S3.example:9000'];
    expect(route('GET /a/b', head)).toMatchObject({ bucket: 'my-photos', key: 'a/b' });
    expect(route('PUT /', head)).toMatchObject({ operation: 'CreateBucket', bucket: 'my-photos' });
    expect(route('GET //a', head)).toMatchObject({ key: '/a' });
    expect(route('GET /', ['host', 'a.b.s3.example'])).toMatchObject({ bucket: 'a.b' });
    expect(codeOf('GET /', ['host', 'A_B.s3.example'])).toBe('InvalidBucketName');
  });

  it('takes any other host for the service itself', () => {
    expect(route('GET /', ['host', 's3.example']).operation).toBe('ListBuckets');
    expect(route('GET /photos/a', ['host', 'x.other']).operation).toBe('GetObject');
    expect(route('GET /', ['host', 'xs3.example']).operation).toBe('ListBuckets');
    expect(route('GET /photos/a', ['host', '[::1]:9000'])).toMatchObject({ bucket: 'photos' });
    expect(route('GET /', ['host', 'photos.s3.example'], []).operation).toBe('ListBuckets');
  });
});

describe('headers in a presigned URL', () => {
  it('count as headers, and never replace one', () => {
    const query = 'X-Amz-Signature=s&x-amz-meta-a=gr%C3%BCn&x-amz-acl=private';
    const { headers } = route(`PUT /photos/a?${query}`, ['x-amz-acl', 'public-read']);
    expect(headers.get('x-amz-acl')).toBe('public-read');
    expect(headers.get('x-amz-meta-a')).toBe(Buffer.from('grün').toString('latin1'));
    expect(headers.has('x-amz-signature')).toBe(false);
  });

  it('may be written in any case, as some SDKs do', () => {
    const query =
      'X-Amz-Signature=s&X-Amz-Checksum-Mode=ENABLED&X-Amz-Sdk-Checksum-Algorithm=CRC32';
    const { headers } = route(`GET /photos/a?${query}`);
    expect(headers.get('x-amz-checksum-mode')).toBe('ENABLED');
    expect(headers.has('x-amz-sdk-checksum-algorithm')).toBe(false);
  });

  it('must be what a header could be', () => {
    for (const evil of [
      'x-amz-meta-a=%0d%0ax: y',
      'x-amz-meta-a%0d%0ab=c',
      'x-amz-meta-%C3%A9=c',
    ]) {
      const target = `PUT /photos/a?X-Amz-Signature=s&${evil.replace(' ', '%20')}`;
      expect(codeOf(target)).toBe('InvalidArgument');
    }
  });

  it('make a copy of a PUT, since they are signed', () => {
    const query = 'X-Amz-Signature=s&x-amz-copy-source=%2Fa%2Fb';
    expect(route(`PUT /photos/a?${query}`).operation).toBe('CopyObject');
  });

  it('mean nothing in a URL that is not presigned', () => {
    expect(route('PUT /photos/a?x-amz-copy-source=/a/b').operation).toBe('PutObject');
  });
});
