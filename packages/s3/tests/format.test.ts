/**
 * The format on the device: golden records, which must never change without a new version, and the
 * codecs against anything that can be encoded and anything that cannot. The golden file is written
 * anew by `DOZO_WRITE_GOLDEN=1 npx vitest run packages/s3/tests/format.test.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { CodecError } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeChunks,
  decodeEntry,
  decodeEntryChecksum,
  decodeHead,
  encodeChunkedEntry,
  encodeChunks,
  encodeInlineEntry,
  ENTRY_HEAD_BYTES,
} from '../src/store/entry-record.ts';
import type { ObjectDescription } from '../src/store/entry-record.ts';
import * as keys from '../src/store/keys.ts';
import * as records from '../src/store/records.ts';
import type { BlobRef, BucketRecord, PartRecord, UploadRecord } from '../src/store/records.ts';

const ID = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const SHARD = keys.shardRoutingKey(Buffer.from('a0a1a2a3a4a5a6a7', 'hex'), 11);
const BLOB: BlobRef = { blobId: ID, sizeBytes: 9_000_000, chunkBytes: 4_194_304 };
const OBJECT: ObjectDescription = {
  lastModifiedMs: 1_793_000_000_123,
  sizeBytes: 5,
  etag: '5d41402abc4b2a76b9719d911017c592',
  checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'NhCmhg==' },
  headers: { contentType: 'text/plain', expires: 'never', userMetadata: [['name', 'va\u00fcue']] },
};
const BUCKET: BucketRecord = {
  state: 'open',
  epoch: 2,
  bucketId: Buffer.from('a0a1a2a3a4a5a6a7', 'hex'),
  createdMs: 1_793_000_000_000,
  shardCount: 16,
  owner: 'dozo',
};
const UPLOAD: UploadRecord = {
  initiatedMs: 1_793_000_000_000,
  armed: true,
  headers: OBJECT.headers,
  checksum: { algorithm: 'SHA256', type: 'COMPOSITE' },
};
const PART: PartRecord = {
  lastModifiedMs: 1_793_000_000_000,
  blob: BLOB,
  etag: OBJECT.etag,
  checksum: OBJECT.checksum,
};
const MULTIPART = {
  ...OBJECT,
  sizeBytes: 9_000_000,
  etag: `${OBJECT.etag}-2`,
  checksum: undefined,
};

/** Every key and record, by name. */
const GOLDEN: Readonly<Record<string, Uint8Array>> = {
  'shard routing key': SHARD,
  'chunk routing key': keys.chunkRoutingKey(SHARD, ID, 2),
  'header key': keys.HEADER_KEY,
  'entry key': keys.entryKey('a/\u00e9'),
  'chunks key': keys.chunksKeyOf(keys.entryKey('a/\u00e9')),
  'intent key': keys.intentKey(ID),
  'upload key': keys.uploadKey('a/\u00e9', ID),
  'part key': keys.partKey(ID, 10_000),
  'garbage key': keys.garbageKey(1_793_000_000_000, ID.subarray(0, 8)),
  bucket: records.encodeBucket(BUCKET),
  header: records.encodeHeader({ state: 'closed', epoch: 3, bucketName: 'photos' }),
  intent: records.encodeIntent({ state: 'collecting', atMs: 1_793_000_000_000, objectKey: 'a/b' }),
  upload: records.encodeUpload(UPLOAD),
  part: records.encodePart(PART),
  'garbage blobs': records.encodeGarbage({ kind: 'blobs', blobs: [BLOB] }),
  'garbage upload': records.encodeGarbage({
    kind: 'upload',
    uploadId: ID,
    usedParts: Buffer.from([2, 128]),
  }),
  'inline entry': encodeInlineEntry(OBJECT, [Buffer.from('hel'), Buffer.from('lo')]),
  'chunked entry': encodeChunkedEntry(MULTIPART),
  chunks: encodeChunks([
    { partNumber: 1, blob: BLOB, checksum: OBJECT.checksum },
    { partNumber: 7, blob: { ...BLOB, sizeBytes: 1 }, checksum: undefined },
  ]),
};

describe('the format', () => {
  it('is that of the golden file', () => {
    const file = new URL('../../../docs/formats/golden/s3-metadata.txt', import.meta.url);
    const actual = Object.entries(GOLDEN)
      .map(([name, bytes]) => `${name}: ${Buffer.from(bytes).toString('hex')}\n`)
      .join('');
    if (process.env['DOZO_WRITE_GOLDEN'] === '1') writeFileSync(file, actual);
    expect(actual).toBe(readFileSync(file, 'utf8'));
  });

  it('puts keys into shards as it always did', () => {
    const numbers = ['', 'a', 'photos/2026/cat.jpg', '\u3069\u3046\u305e'].map((key) =>
      keys.shardNumberOf(keys.entryKey(key), 16),
    );
    expect(numbers).toEqual([11, 3, 4, 8]);
  });

  it('spreads keys over the shards evenly', () => {
    const counts = new Array<number>(16).fill(0);
    for (let index = 0; index < 16_000; index += 1) {
      const number = keys.shardNumberOf(
        keys.entryKey(`load/${String(index).padStart(8, '0')}`),
        16,
      );
      counts[number] = (counts[number] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1150);
  });
});

const text = fc.string({ maxLength: 20, unit: 'grapheme' });
const binary = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));
const checksum = fc.option(
  fc.record({
    algorithm: fc.constantFrom('CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'),
    type: fc.constantFrom('FULL_OBJECT', 'COMPOSITE'),
    value: fc.base64String({ maxLength: 44 }),
  }),
  { nil: undefined },
);
const headers = fc.record(
  {
    contentType: binary,
    cacheControl: binary,
    contentDisposition: binary,
    contentEncoding: binary,
    contentLanguage: binary,
    expires: binary,
    userMetadata: fc.array(fc.tuple(binary, binary), { maxLength: 5 }),
  },
  { requiredKeys: ['userMetadata'] },
);
const etag = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const milliseconds = fc.integer({ min: 0, max: 2 ** 47 });
const blob = fc.record({
  blobId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  sizeBytes: fc.integer({ min: 0, max: 2 ** 46 }),
  chunkBytes: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
});

describe('codecs', () => {
  it('give back every entry with its body inside', () => {
    const body = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(
        milliseconds,
        etag,
        checksum,
        headers,
        body,
        (lastModifiedMs, tag, sum, kept, data) => {
          const object = {
            lastModifiedMs,
            etag: tag,
            checksum: sum,
            headers: kept,
            sizeBytes: data.length,
          };
          const record = encodeInlineEntry(object, [data]);
          const decoded = decodeEntry(record);
          expect(decoded).toEqual({ ...object, chunked: false, data: Buffer.from(data) });
          expect(decodeHead(record.subarray(0, ENTRY_HEAD_BYTES))).toMatchObject({ etag: tag });
          expect(decodeEntryChecksum(record)).toEqual(sum);
        },
      ),
    );
  });

  it('give back every list of chunks', () => {
    const part = fc.record({ partNumber: fc.integer({ min: 0, max: 10_000 }), blob, checksum });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const plain = decodeChunks(encodeChunks(parts)).map((found) => ({
          ...found,
          blob: { ...found.blob, blobId: new Uint8Array(found.blob.blobId) },
        }));
        expect(plain).toEqual(parts);
      }),
    );
  });

  it('give back every upload and part', () => {
    const upload = fc.record({
      initiatedMs: milliseconds,
      armed: fc.boolean(),
      headers,
      checksum: checksum.map((sum) => sum && { algorithm: sum.algorithm, type: sum.type }),
    });
    fc.assert(
      fc.property(upload, (record) => {
        expect(records.decodeUpload(records.encodeUpload(record))).toEqual(record);
      }),
    );
    const part = fc.record({ lastModifiedMs: milliseconds, blob, etag, checksum });
    fc.assert(
      fc.property(part, (record) => {
        expect(records.decodePart(records.encodePart(record))).toEqual(record);
      }),
    );
  });

  it('keep the order of object keys and uploads, and give back what they name', () => {
    const name = fc.tuple(text, fc.uint8Array({ minLength: 16, maxLength: 16 }));
    fc.assert(
      fc.property(name, name, ([one, oneId], [other, otherId]) => {
        const [left, right] = [keys.uploadKey(one, oneId), keys.uploadKey(other, otherId)];
        expect(keys.uploadNameOf(left)).toEqual({ objectKey: one, uploadId: Buffer.from(oneId) });
        const byKey = Buffer.compare(keys.entryKey(one), keys.entryKey(other));
        const expected = byKey === 0 ? Buffer.compare(oneId, otherId) : byKey;
        expect(Buffer.compare(left, right)).toBe(expected);
        expect(keys.objectKeyOf(keys.entryKey(one))).toBe(one);
      }),
    );
  });

  it('refuse every record that is cut off or of another version, and never read past its end', () => {
    const decoders: Readonly<Record<string, (value: Uint8Array) => unknown>> = {
      bucket: records.decodeBucket,
      header: records.decodeHeader,
      intent: records.decodeIntent,
      upload: records.decodeUpload,
      part: records.decodePart,
      'garbage blobs': records.decodeGarbage,
      'garbage upload': records.decodeGarbage,
      'inline entry': decodeEntry,
      'chunked entry': decodeEntry,
      chunks: decodeChunks,
    };
    for (const [name, decode] of Object.entries(decoders)) {
      const record = Buffer.from(GOLDEN[name] ?? []);
      decode(record);
      for (let length = 0; length < record.length; length += 1) {
        expect(() => decode(record.subarray(0, length)), `${name} ${String(length)}`).toThrow(
          CodecError,
        );
      }
      const longer = Buffer.concat([record, Buffer.of(0)]);
      expect(() => decode(longer), `${name} and a byte`).toThrow(CodecError);
      const newer = Buffer.from(record);
      newer[0] = 2;
      expect(() => decode(newer), `${name} of version 2`).toThrow(/version 2/);
    }
  });

  it('answer damage with an error of theirs, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        bytes[0] = 1;
        for (const decode of [
          decodeEntry,
          decodeChunks,
          records.decodeUpload,
          records.decodePart,
        ]) {
          try {
            decode(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(CodecError);
          }
        }
      }),
    );
  });
});
