import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { SECRET_ACCESS_KEY, sha256, signChunk, signTrailer } from '../../tests/request-signer.ts';
import { S3Error } from '../errors.ts';
import { CHUNK_LINE_BYTES_MAX, TRAILER_LINES_MAX } from '../limits.ts';
import type { BodySummary } from './payload-decoder.ts';
import { createBodyDecoder, decodeWholeBody } from './payload.ts';
import type { BodyPlan } from './payload-plan.ts';
import { deriveSigningKey } from './signing-key.ts';

const DATE = '20130524T000000Z';
const SEED = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
const signing = {
  key: deriveSigningKey(SECRET_ACCESS_KEY, '20130524', 'us-east-1'),
  seedSignature: SEED,
  date: DATE,
  scope: '20130524/us-east-1/s3/aws4_request',
};
const unsignedPlan: BodyPlan = {
  framing: 'chunked',
  sizeBytes: undefined,
  bytesMax: 1_000_000,
  md5: true,
  expectedMd5: undefined,
  expectedSha256: undefined,
  checksumAlgorithm: undefined,
  expectedChecksum: undefined,
  chunkSigning: undefined,
  hasTrailer: true,
  trailerName: undefined,
};
const signedPlan: BodyPlan = { ...unsignedPlan, chunkSigning: signing, hasTrailer: false };
const crcPlan: BodyPlan = {
  ...unsignedPlan,
  checksumAlgorithm: 'CRC32',
  trailerName: 'x-amz-checksum-crc32',
};
/** CRC32 of "hello". */
const HELLO_CRC32 = 'NhCmhg==';

interface Decoded {
  readonly payload: Buffer;
  readonly summary: BodySummary;
}

/** Decodes a body that comes in pieces which end at `cuts`. */
function decode(plan: BodyPlan, body: Uint8Array, cuts: readonly number[] = []): Decoded {
  const decoder = createBodyDecoder(plan);
  const payload: Buffer[] = [];
  let offset = 0;
  for (const cut of [...cuts, body.length]) {
    decoder.push(body.subarray(offset, cut), (piece) => payload.push(Buffer.from(piece)));
    offset = cut;
  }
  return { payload: Buffer.concat(payload), summary: decoder.finish() };
}

function codeOf(plan: BodyPlan, body: string | Uint8Array): string {
  return refusal(() => decode(plan, Buffer.from(body as string))).code;
}

function signedBody(chunks: readonly Uint8Array[], seed = SEED): { body: Buffer; last: string } {
  let previous = seed;
  const pieces: Buffer[] = [];
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    const { bytes, signature } = signChunk({ date: DATE }, previous, chunk);
    pieces.push(bytes);
    previous = signature;
  }
  return { body: Buffer.concat([...pieces, Buffer.from('\r\n')]), last: previous };
}

/** Source: S3 API Reference, "Transferring Payload in Multiple Chunks" and "Trailing Headers". */
describe("Amazon's published examples of chunks", () => {
  const a = Buffer.alloc(66_560, 'a');
  const body = Buffer.concat([
    Buffer.from(
      '10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n',
    ),
    a.subarray(0, 65_536),
    Buffer.from(
      '\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n',
    ),
    a.subarray(65_536),
    Buffer.from(
      '\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n',
    ),
  ]);
  const plan = { ...signedPlan, sizeBytes: a.length };

  it('decodes the signed chunks, whole and in pieces', () => {
    expect(body.length).toBe(66_824);
    expect(decode(plan, body).payload.equals(a)).toBe(true);
    expect(decodeWholeBody(plan, body).summary.sizeBytes).toBe(66_560);
    for (const size of [1_000, 65_536, 66_000]) {
      const cuts = Array.from({ length: Math.floor(body.length / size) }, (_, i) => (i + 1) * size);
      expect(decode(plan, body, cuts).payload.equals(a)).toBe(true);
    }
  });

  it('refuses a changed byte in any chunk, wherever the pieces end', () => {
    for (const at of [100, 65_700, 66_700]) {
      const changed = Buffer.from(body);
      changed.write('b', at);
      expect(codeOf(plan, changed)).toBe('SignatureDoesNotMatch');
      expect(refusal(() => decode(plan, changed, [at, at + 1])).code).toBe('SignatureDoesNotMatch');
    }
  });

  it('decodes the signed trailer, with either end of line', () => {
    const trailerPlan: BodyPlan = {
      ...plan,
      chunkSigning: {
        ...signing,
        seedSignature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      },
      checksumAlgorithm: 'CRC32C',
      hasTrailer: true,
      trailerName: 'x-amz-checksum-crc32c',
    };
    const chunks = [
      Buffer.from(
        '10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n',
      ),
      a.subarray(0, 65_536),
      Buffer.from(
        '\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n',
      ),
      a.subarray(65_536),
      Buffer.from(
        '\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n',
      ),
    ];
    const signature = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
    for (const end of ['\r\n', '\n', '\n\r\n']) {
      const trailer = `x-amz-checksum-crc32c:sOO8/Q==${end}x-amz-trailer-signature:${signature}\r\n\r\n`;
      const decoded = decode(trailerPlan, Buffer.concat([...chunks, Buffer.from(trailer)]));
      expect(decoded.summary.checksum).toEqual({ algorithm: 'CRC32C', value: 'sOO8/Q==' });
    }
    const forged = `x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${'0'.repeat(64)}\r\n\r\n`;
    expect(codeOf(trailerPlan, Buffer.concat([...chunks, Buffer.from(forged)]))).toBe(
      'SignatureDoesNotMatch',
    );
    const unsigned = 'x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n';
    expect(codeOf(trailerPlan, Buffer.concat([...chunks, Buffer.from(unsigned)]))).toBe(
      'IncompleteBody',
    );
  });
});

describe('chunks cut anywhere', () => {
  const trailer = 'x-amz-checksum-crc32:NhCmhg==\r\n\r\n';
  const body = Buffer.from(`2\r\nhe\r\n3\r\nllo\r\n0\r\n${trailer}`);

  it('gives the same at every one and every two cuts', () => {
    for (let first = 0; first <= body.length; first++) {
      for (let second = first; second <= body.length; second++) {
        const { payload, summary } = decode(crcPlan, body, [first, second]);
        expect(payload.toString()).toBe('hello');
        expect(summary).toEqual({
          sizeBytes: 5,
          md5: '5d41402abc4b2a76b9719d911017c592',
          checksum: { algorithm: 'CRC32', value: HELLO_CRC32 },
        });
      }
    }
  });

  it('is incomplete wherever it ends too early', () => {
    const enough = body.length - '\r\n'.length;
    for (let end = 0; end < enough; end++) {
      expect(codeOf(crcPlan, body.subarray(0, end))).toBe('IncompleteBody');
    }
    expect(decode(crcPlan, body.subarray(0, enough)).payload.toString()).toBe('hello');
  });

  it('decodes any signed chunks with any cuts', () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.array(fc.nat(3_000), { maxLength: 8 }),
        fc.boolean(),
        (chunks, positions, isSizeKnown) => {
          const { body: signed, last } = signedBody(chunks);
          const payload = Buffer.concat(chunks);
          const lines = `x-amz-checksum-sha256:${Buffer.from(sha256(payload), 'hex').toString('base64')}\n`;
          const ending = `${lines}x-amz-trailer-signature:${signTrailer({ date: DATE }, last, lines)}\r\n\r\n`;
          const whole = Buffer.concat([signed.subarray(0, -2), Buffer.from(ending)]);
          const cuts = positions.map((at) => at % (whole.length + 1)).sort((x, y) => x - y);
          const plan: BodyPlan = {
            ...signedPlan,
            sizeBytes: isSizeKnown ? payload.length : undefined,
            hasTrailer: true,
            checksumAlgorithm: 'SHA256',
            trailerName: 'x-amz-checksum-sha256',
          };
          expect(decode(plan, whole, cuts).payload.equals(payload)).toBe(true);
        },
      ),
    );
  });

  it('hands on views, not copies', () => {
    const decoder = createBodyDecoder(crcPlan);
    const pieces: Uint8Array[] = [];
    decoder.push(body, (piece) => pieces.push(piece));
    expect(pieces.map((piece) => piece.buffer === body.buffer)).toEqual([true, true]);
  });
});

describe('bodies that are not aws-chunked', () => {
  it.each([
    ['\r\n', 'InvalidChunkSizeError'],
    ['x\r\n', 'InvalidChunkSizeError'],
    ['-1\r\n', 'InvalidChunkSizeError'],
    ['+1\r\na\r\n0\r\n', 'InvalidChunkSizeError'],
    ['0x1\r\na\r\n0\r\n', 'InvalidChunkSizeError'],
    ['1 \r\na\r\n0\r\n', 'InvalidChunkSizeError'],
    ['1\na\n0\n\n', 'InvalidChunkSizeError'],
    ['1;a=b\r\na\r\n0\r\n', 'InvalidChunkSizeError'],
    [`1;chunk-signature=${'a'.repeat(64)}\r\na\r\n`, 'InvalidChunkSizeError'],
    ['1\r\nab\r\n0\r\n\r\n', 'InvalidChunkSizeError'],
    ['1\r\na0\r\n\r\n', 'InvalidChunkSizeError'],
    ['ffffffffffffffffffffffff\r\n', 'InvalidChunkSizeError'],
    ['ffffffffffffffff\r\n', 'EntityTooLarge'],
    ['f4241\r\n', 'EntityTooLarge'],
    ['1\r\na\r\n', 'IncompleteBody'],
    ['', 'IncompleteBody'],
    ['0\r\n\r\ngarbage', 'MalformedTrailerError'],
    ['0\r\n\r\n\r\n', 'MalformedTrailerError'],
    ['0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', 'MalformedTrailerError'],
    ['0\r\nno colon\r\n\r\n', 'MalformedTrailerError'],
  ])('refuses %j as %s', (body, code) => {
    expect(codeOf(unsignedPlan, body)).toBe(code);
  });

  it('refuses a chunk without a signature where chunks are signed', () => {
    expect(codeOf(signedPlan, '1\r\na\r\n0\r\n\r\n')).toBe('InvalidChunkSizeError');
  });

  it('refuses the chunks of a signed body in another order', () => {
    const first = signChunk({ date: DATE }, SEED, Buffer.from('a'));
    const second = signChunk({ date: DATE }, first.signature, Buffer.from('b'));
    expect(codeOf(signedPlan, Buffer.concat([second.bytes, first.bytes]))).toBe(
      'SignatureDoesNotMatch',
    );
  });

  it('refuses a signed body whose last chunk was cut off, or that goes on after it', () => {
    const { body } = signedBody([Buffer.from('abc')]);
    expect(decode(signedPlan, body).payload.toString()).toBe('abc');
    expect(codeOf(signedPlan, body.subarray(0, body.indexOf('\r\n0;') + 2))).toBe('IncompleteBody');
    expect(codeOf(signedPlan, Buffer.concat([body, body]))).toBe('MalformedTrailerError');
    const withTrailer = Buffer.concat([
      body.subarray(0, -2),
      Buffer.from('x-amz-meta-a:b\r\n\r\n'),
    ]);
    expect(codeOf(signedPlan, withTrailer)).toBe('MalformedTrailerError');
  });

  it('refuses more and less than the length that was announced', () => {
    const body = '3\r\nabc\r\n0\r\n\r\n';
    expect(decode({ ...unsignedPlan, sizeBytes: 3 }, Buffer.from(body)).summary.sizeBytes).toBe(3);
    expect(codeOf({ ...unsignedPlan, sizeBytes: 2 }, body)).toBe('IncompleteBody');
    expect(codeOf({ ...unsignedPlan, sizeBytes: 4 }, body)).toBe('IncompleteBody');
  });

  it('keeps no more than a line, however long one comes, and however slowly', () => {
    expect(codeOf(unsignedPlan, '0'.repeat(CHUNK_LINE_BYTES_MAX + 1))).toBe(
      'InvalidChunkSizeError',
    );
    const decoder = createBodyDecoder(unsignedPlan);
    const error = refusal(() => {
      for (let index = 0; index <= CHUNK_LINE_BYTES_MAX; index++) {
        decoder.push(Buffer.from('0'), () => undefined);
      }
    });
    expect(error.code).toBe('InvalidChunkSizeError');
    const header = `0\r\n${'x'.repeat(CHUNK_LINE_BYTES_MAX + 1)}`;
    expect(codeOf(unsignedPlan, header)).toBe('MalformedTrailerError');
  });

  it('does not read a trailer without end', () => {
    const { body } = signedBody([]);
    const plan = { ...signedPlan, hasTrailer: true };
    const endless = Buffer.concat([
      body.subarray(0, -2),
      Buffer.from('\r\n'.repeat(TRAILER_LINES_MAX + 1)),
    ]);
    expect(codeOf(plan, endless)).toBe('MalformedTrailerError');
  });

  it.each([
    ['x-amz-checksum-crc32:AAAAAA==\r\n\r\n', 'BadDigest'],
    ['x-amz-checksum-crc32:not base64\r\n\r\n', 'InvalidRequest'],
    ['x-amz-checksum-crc32:NhCmhg\r\n\r\n', 'InvalidRequest'],
    ['x-amz-checksum-crc32c:NhCmhg==\r\n\r\n', 'MalformedTrailerError'],
    ['\r\n', 'MalformedTrailerError'],
    [
      'x-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n',
      'MalformedTrailerError',
    ],
    ['x-amz-trailer-signature:00\r\n\r\n', 'MalformedTrailerError'],
    ['', 'IncompleteBody'],
  ])('refuses the trailer %j as %s', (trailer, code) => {
    expect(codeOf(crcPlan, `5\r\nhello\r\n0\r\n${trailer}`)).toBe(code);
  });

  it('refuses a trailer signature that is none', () => {
    const { body } = signedBody([]);
    const ending = Buffer.from('x-amz-trailer-signature:zz\r\n\r\n');
    const plan = { ...signedPlan, hasTrailer: true };
    expect(codeOf(plan, Buffer.concat([body.subarray(0, -2), ending]))).toBe(
      'MalformedTrailerError',
    );
  });

  it('never fails otherwise, whatever comes', () => {
    const piece = fc.oneof(
      fc.constantFrom('0\r\n', '5\r\nhello', '\r\n', ';chunk-signature=', 'x-amz-checksum-crc32:'),
      fc.string({ unit: 'binary-ascii', maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const body = Buffer.from(pieces.join(''));
        try {
          decode(crcPlan, body);
        } catch (error) {
          expect(error).toBeInstanceOf(S3Error);
        }
      }),
    );
  });
});
