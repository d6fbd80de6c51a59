import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import {
  renderCompleteMultipartUpload,
  renderCopyObject,
  renderCopyPart,
  renderDeleteResult,
  renderError,
  renderInitiateMultipartUpload,
  renderLocation,
} from './xml-render.ts';
import {
  renderListBuckets,
  renderListMultipartUploads,
  renderListObjects,
  renderListObjectsV2,
  renderListObjectVersions,
  renderListParts,
} from './xml-render-list.ts';

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const OWNER = { id: 'dozo', displayName: 'Dozo & Co' };
const OWNER_CONTENT = '<ID>dozo</ID><DisplayName>Dozo &amp; Co</DisplayName>';
const MS = Date.UTC(2026, 10, 5, 8, 15, 30);
const ISO = '2026-11-05T08:15:30.000Z';

describe('documents', () => {
  it('of an error name everything that helps', () => {
    const error = new S3Error('NoSuchKey', { fields: { Key: 'a<\x01' } });
    expect(renderError({ error, resource: '/b/a', requestId: 'r', hostId: 'h' })).toBe(
      `${HEAD}<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>` +
        '<Key>a&lt;&#x1;</Key><Resource>/b/a</Resource><RequestId>r</RequestId><HostId>h</HostId></Error>',
    );
  });

  it('of a location are empty for the first region', () => {
    expect(renderLocation(undefined)).toBe(
      `${HEAD}<LocationConstraint ${NAMESPACE}></LocationConstraint>`,
    );
    expect(renderLocation('eu-1')).toContain('>eu-1<');
  });

  it('of a multipart upload', () => {
    expect(renderInitiateMultipartUpload({ bucket: 'b', key: 'k', uploadId: 'u' })).toBe(
      `${HEAD}<InitiateMultipartUploadResult ${NAMESPACE}><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>`,
    );
    const completed = renderCompleteMultipartUpload({
      location: 'http://h/b/k',
      bucket: 'b',
      key: 'k',
      etag: 'e-2',
      checksum: { algorithm: 'CRC32', type: 'COMPOSITE', value: 'AAAAAA==-2' },
    });
    expect(completed).toBe(
      `${HEAD}<CompleteMultipartUploadResult ${NAMESPACE}><Location>http://h/b/k</Location><Bucket>b</Bucket><Key>k</Key>` +
        '<ETag>&quot;e-2&quot;</ETag><ChecksumCRC32>AAAAAA==-2</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType>' +
        '</CompleteMultipartUploadResult>',
    );
  });

  it('of copies', () => {
    const content = `<LastModified>${ISO}</LastModified><ETag>&quot;e&quot;</ETag>`;
    const result = { etag: 'e', lastModifiedMs: MS };
    expect(renderCopyObject(result)).toBe(
      `${HEAD}<CopyObjectResult ${NAMESPACE}>${content}</CopyObjectResult>`,
    );
    expect(renderCopyPart(result)).toBe(
      `${HEAD}<CopyPartResult ${NAMESPACE}>${content}</CopyPartResult>`,
    );
  });

  it('of deletes, quiet or not', () => {
    const input = {
      deleted: [{ key: 'a' }, { key: 'b', versionId: 'null' }],
      failures: [{ key: 'c', code: 'AccessDenied', message: 'no' }],
    };
    const failure = '<Error><Key>c</Key><Code>AccessDenied</Code><Message>no</Message></Error>';
    expect(renderDeleteResult({ ...input, quiet: false })).toBe(
      `${HEAD}<DeleteResult ${NAMESPACE}><Deleted><Key>a</Key></Deleted>` +
        `<Deleted><Key>b</Key><VersionId>null</VersionId></Deleted>${failure}</DeleteResult>`,
    );
    expect(renderDeleteResult({ ...input, quiet: true })).toBe(
      `${HEAD}<DeleteResult ${NAMESPACE}>${failure}</DeleteResult>`,
    );
  });
});

describe('listings', () => {
  const page = {
    bucket: 'b',
    prefix: 'p/',
    delimiter: '/',
    rowsMax: 3,
    encodingType: undefined,
    isTruncated: true,
    objects: [{ key: 'p/ä &', lastModifiedMs: MS, etag: 'e', sizeBytes: 5 }],
    commonPrefixes: ['p/+/'],
  };
  const row =
    `<LastModified>${ISO}</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size>` +
    '<StorageClass>STANDARD</StorageClass>';

  it('of buckets', () => {
    const buckets = [{ name: 'b', createdMs: MS }];
    expect(renderListBuckets({ owner: OWNER, buckets, continuationToken: 't' })).toBe(
      `${HEAD}<ListAllMyBucketsResult ${NAMESPACE}><Owner>${OWNER_CONTENT}</Owner>` +
        `<Buckets><Bucket><Name>b</Name><CreationDate>${ISO}</CreationDate></Bucket></Buckets>` +
        '<ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>',
    );
  });

  it('of objects, first version', () => {
    expect(renderListObjects({ ...page, marker: 'm', nextMarker: 'n', owner: OWNER })).toBe(
      `${HEAD}<ListBucketResult ${NAMESPACE}><Name>b</Name><Prefix>p/</Prefix><Marker>m</Marker>` +
        '<NextMarker>n</NextMarker><Delimiter>/</Delimiter><MaxKeys>3</MaxKeys><IsTruncated>true</IsTruncated>' +
        `<Contents><Key>p/ä &amp;</Key><LastModified>${ISO}</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size>` +
        `<Owner>${OWNER_CONTENT}</Owner><StorageClass>STANDARD</StorageClass></Contents>` +
        '<CommonPrefixes><Prefix>p/+/</Prefix></CommonPrefixes></ListBucketResult>',
    );
  });

  it('of objects, second version, with encoded names and plain tokens', () => {
    const encoded = { ...page, encodingType: 'url' as const, nextContinuationToken: 't=&' };
    expect(renderListObjectsV2({ ...encoded, startAfter: 'ö' })).toBe(
      `${HEAD}<ListBucketResult ${NAMESPACE}><Name>b</Name><Prefix>p/</Prefix><StartAfter>%C3%B6</StartAfter>` +
        '<NextContinuationToken>t=&amp;</NextContinuationToken><KeyCount>2</KeyCount><Delimiter>/</Delimiter>' +
        '<EncodingType>url</EncodingType><MaxKeys>3</MaxKeys><IsTruncated>true</IsTruncated>' +
        `<Contents><Key>p/%C3%A4%20%26</Key>${row}</Contents>` +
        '<CommonPrefixes><Prefix>p/%2B/</Prefix></CommonPrefixes></ListBucketResult>',
    );
  });

  it('of objects name the kind of checksum that one has', () => {
    const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT' } as const;
    const objects = page.objects.map((object) => ({ ...object, checksum }));
    expect(renderListObjectsV2({ ...page, objects })).toContain(
      '<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>',
    );
  });

  it('of versions: each is the latest, null', () => {
    const versions = renderListObjectVersions({
      ...page,
      keyMarker: '',
      versionIdMarker: '',
      nextKeyMarker: 'n',
      nextVersionIdMarker: 'null',
    });
    expect(versions).toContain(
      '<KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><NextKeyMarker>n</NextKeyMarker>' +
        '<NextVersionIdMarker>null</NextVersionIdMarker><Delimiter>',
    );
    expect(versions).toContain(
      '<Version><VersionId>null</VersionId><IsLatest>true</IsLatest><Key>p/ä &amp;</Key>',
    );
  });

  it('of uploads', () => {
    const uploads = renderListMultipartUploads({
      bucket: 'b',
      prefix: '',
      delimiter: '',
      keyMarker: 'k',
      uploadIdMarker: 'u',
      rowsMax: 1,
      encodingType: 'url',
      isTruncated: false,
      uploads: [
        {
          key: 'a b',
          uploadId: 'u1',
          initiatedMs: MS,
          checksum: { algorithm: 'SHA1', type: 'COMPOSITE' },
        },
      ],
      commonPrefixes: ['c/'],
      owner: OWNER,
    });
    expect(uploads).toBe(
      `${HEAD}<ListMultipartUploadsResult ${NAMESPACE}><Bucket>b</Bucket><KeyMarker>k</KeyMarker>` +
        '<UploadIdMarker>u</UploadIdMarker><Prefix></Prefix><EncodingType>url</EncodingType>' +
        '<MaxUploads>1</MaxUploads><IsTruncated>false</IsTruncated><Upload><Key>a%20b</Key><UploadId>u1</UploadId>' +
        `<Initiator>${OWNER_CONTENT}</Initiator><Owner>${OWNER_CONTENT}</Owner><StorageClass>STANDARD</StorageClass>` +
        `<Initiated>${ISO}</Initiated><ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>` +
        '</Upload><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListMultipartUploadsResult>',
    );
  });

  it('of parts', () => {
    const parts = renderListParts({
      bucket: 'b',
      key: 'k',
      uploadId: 'u',
      owner: OWNER,
      partNumberMarker: 0,
      nextPartNumberMarker: 1,
      rowsMax: 1,
      isTruncated: true,
      parts: [
        {
          partNumber: 1,
          lastModifiedMs: MS,
          etag: 'e',
          sizeBytes: 5,
          checksum: { algorithm: 'SHA1', value: 'x=' },
        },
      ],
    });
    expect(parts).toContain(
      '<PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>1</NextPartNumberMarker>' +
        '<MaxParts>1</MaxParts><IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber>' +
        `<LastModified>${ISO}</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size>` +
        '<ChecksumSHA1>x=</ChecksumSHA1></Part></ListPartsResult>',
    );
  });
});
