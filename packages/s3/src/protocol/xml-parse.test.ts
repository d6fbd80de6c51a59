import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { DELETE_KEYS_MAX, LIST_DOCUMENT_BYTES_MAX, PART_NUMBER_MAX } from '../limits.ts';
import {
  parseCompleteMultipartUpload,
  parseCreateBucketConfiguration,
  parseDelete,
} from './xml-parse.ts';

const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

describe('parseCompleteMultipartUpload', () => {
  const parse = (parts: string): ReturnType<typeof parseCompleteMultipartUpload> =>
    parseCompleteMultipartUpload(
      Buffer.from(`<CompleteMultipartUpload ${NAMESPACE}>${parts}</CompleteMultipartUpload>`),
    );
  const part = (number: number | string, more = ''): string =>
    `<Part><PartNumber>${number}</PartNumber><ETag>&quot;abc&quot;</ETag>${more}</Part>`;

  it('reads numbers, ETags with or without quotes, and checksums', () => {
    const crc = '<ChecksumCRC32>AAAAAA==</ChecksumCRC32>';
    expect(
      parse(`${part(1, crc)}\n<Part><ETag>abc</ETag><PartNumber>3</PartNumber></Part>`),
    ).toEqual([
      { partNumber: 1, etag: 'abc', checksum: { algorithm: 'CRC32', value: 'AAAAAA==' } },
      { partNumber: 3, etag: 'abc', checksum: undefined },
    ]);
  });

  it.each([
    ['', 'MalformedXML'],
    ['<Part/>', 'MalformedXML'],
    ['<Part><PartNumber>1</PartNumber></Part>', 'MalformedXML'],
    ['<Part><ETag>a</ETag></Part>', 'MalformedXML'],
    ['<Other/>', 'MalformedXML'],
    [part(0), 'InvalidArgument'],
    [part(PART_NUMBER_MAX + 1), 'InvalidArgument'],
    [part('x'), 'InvalidArgument'],
    [part(2) + part(1), 'InvalidPartOrder'],
    [part(1) + part(1), 'InvalidPartOrder'],
    [part(1, '<ChecksumSHA1>AAAA</ChecksumSHA1>'), 'InvalidRequest'],
    [
      part(1, '<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>'),
      'MalformedXML',
    ],
  ])('refuses %j as %s', (parts, code) => {
    expect(refusal(() => parse(parts)).code).toBe(code);
  });

  it('reads as many parts as there may be, with checksums, within the bound of a document', () => {
    const sha = `<ChecksumSHA256>${'A'.repeat(43)}=</ChecksumSHA256>`;
    const parts = Array.from({ length: PART_NUMBER_MAX }, (_, index) => part(index + 1, sha));
    expect(parts.join('').length).toBeLessThan(LIST_DOCUMENT_BYTES_MAX);
    expect(parse(parts.join(''))).toHaveLength(PART_NUMBER_MAX);
  });
});

describe('parseDelete', () => {
  const parse = (content: string): ReturnType<typeof parseDelete> =>
    parseDelete(Buffer.from(`<Delete ${NAMESPACE}>${content}</Delete>`));
  const object = (key: string): string => `<Object><Key>${key}</Key></Object>`;

  it('reads keys exactly, and what else stands beside them', () => {
    const content =
      `${object(' a &lt;&#13;&#x1;')}<Object><Key>b</Key><VersionId>null</VersionId>` +
      '<ETag>"abc"</ETag></Object><Quiet>true</Quiet>';
    expect(parse(content)).toEqual({
      quiet: true,
      objects: [
        { key: ' a <\r\x01', versionId: undefined, etag: undefined },
        { key: 'b', versionId: 'null', etag: 'abc' },
      ],
    });
    expect(parse(object('a')).quiet).toBe(false);
  });

  it.each([
    ['', 'MalformedXML'],
    ['<Quiet>true</Quiet>', 'MalformedXML'],
    ['<Object/>', 'MalformedXML'],
    ['<Object><Key>a</Key><Key>b</Key></Object>', 'MalformedXML'],
    ['<Other/>', 'MalformedXML'],
    ['<Object><Key>a</Key><Size>5</Size></Object>', 'NotImplemented'],
  ])('refuses %j as %s', (content, code) => {
    expect(refusal(() => parse(content)).code).toBe(code);
  });

  it('takes a thousand keys and not one more', () => {
    const many = (count: number): string => object('a').repeat(count);
    expect(parse(many(DELETE_KEYS_MAX)).objects).toHaveLength(DELETE_KEYS_MAX);
    expect(refusal(() => parse(many(DELETE_KEYS_MAX + 1))).code).toBe('MalformedXML');
  });
});

describe('parseCreateBucketConfiguration', () => {
  const parse = (body: string): string | undefined =>
    parseCreateBucketConfiguration(Buffer.from(body));
  const configuration = (content: string): string =>
    `<CreateBucketConfiguration>${content}</CreateBucketConfiguration>`;

  it('reads where to create, if it says so', () => {
    expect(parse('')).toBeUndefined();
    expect(parse(configuration(''))).toBeUndefined();
    expect(parse(configuration('<LocationConstraint/>'))).toBeUndefined();
    expect(parse(configuration('<LocationConstraint>EU</LocationConstraint>'))).toBe('EU');
  });

  it('refuses other documents, and kinds of buckets that are not there', () => {
    expect(refusal(() => parse('<Other/>')).code).toBe('MalformedXML');
    expect(refusal(() => parse('nothing')).code).toBe('MalformedXML');
    const directory = configuration('<Bucket><Type>Directory</Type></Bucket>');
    expect(refusal(() => parse(directory)).code).toBe('NotImplemented');
  });
});
