/**
 * What the head of a request says of its body: how it is framed, how long it is, and by which of up
 * to four hashes it will be checked.
 *
 * | x-amz-content-sha256 | framing | checked by |
 * | --- | --- | --- |
 * | 64 hex digits | plain | that hash |
 * | UNSIGNED-PAYLOAD | plain | what else is sent |
 * | STREAMING-AWS4-HMAC-SHA256-PAYLOAD | chunked | a signature per chunk |
 * | STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER | chunked | a signature per chunk and one of the trailer |
 * | STREAMING-UNSIGNED-PAYLOAD-TRAILER | chunked | the checksum in the trailer |
 *
 * and always by Content-MD5 and `x-amz-checksum-*` where they are sent.
 *
 * Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring
 * Payload in Multiple Chunks", "... Including Trailing Headers".
 */
import { invalidArgument, S3Error } from '../errors.ts';
import { algorithmOfHeader, checksumHeaderName } from './checksum.ts';
import type { Checksum, ChecksumAlgorithm } from './checksum.ts';
import { findChecksumHeader, requireChecksumAlgorithm } from './checksum-headers.ts';
import type { RequestHeaders } from './headers.ts';
import type { Route } from './route.ts';
import type { Authentication, ChunkSigning } from './signature-v4.ts';

/** What the operation wants of its body. */
export interface BodyOptions {
  /** More decoded bytes than this: `EntityTooLarge`. */
  readonly bytesMax: number;
  /** PutObject and UploadPart: without a length, `MissingContentLength`. */
  readonly lengthRequired: boolean;
  /** Compute this checksum even if the client sends none; a client that sends another is refused. */
  readonly checksumAlgorithm?: ChecksumAlgorithm | undefined;
  /** Whether the MD5 is wanted as an ETag. */
  readonly md5: boolean;
}

/** How a body comes and what must be true of it. */
export interface BodyPlan {
  readonly framing: 'plain' | 'chunked';
  /** Decoded bytes that are to come; undefined where only the end will tell. */
  readonly sizeBytes: number | undefined;
  /** More decoded bytes than this are never accepted. */
  readonly bytesMax: number;
  /** Whether the MD5 is computed for its own sake. */
  readonly md5: boolean;
  /** Lower-case hex, as sent in Content-MD5 (there in base64). */
  readonly expectedMd5: string | undefined;
  /** Lower-case hex. */
  readonly expectedSha256: string | undefined;
  /** What to compute besides. */
  readonly checksumAlgorithm: ChecksumAlgorithm | undefined;
  /** Base64, from a header. */
  readonly expectedChecksum: string | undefined;
  /** For chunks that are signed. */
  readonly chunkSigning: ChunkSigning | undefined;
  /** Whether lines may follow the last chunk, and be signed if chunks are. */
  readonly hasTrailer: boolean;
  /** The checksum header that must be among them. */
  readonly trailerName: string | undefined;
}

const HEX_SHA256 = /^[0-9a-f]{64}$/i;
const NUMBER = /^\d{1,15}$/;

type Framing = Pick<BodyPlan, 'framing' | 'expectedSha256' | 'chunkSigning' | 'hasTrailer'>;

/**
 * Reads what the head says of the body, and refuses what can be refused before the body comes.
 *
 * @throws S3Error `MissingContentLength`, `EntityTooLarge`, `InvalidDigest` (Content-MD5),
 *   `InvalidRequest` (checksum headers), `InvalidArgument`, `NotImplemented`.
 */
export function planBody(
  route: Route,
  authentication: Authentication,
  options: BodyOptions,
): BodyPlan {
  const { headers } = route;
  const framing = readFraming(authentication);
  const sizeBytes = readSize(headers, framing, options);
  if (sizeBytes !== undefined && sizeBytes > options.bytesMax) {
    throw new S3Error('EntityTooLarge', {
      fields: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(options.bytesMax) },
    });
  }
  // There it is the checksum of the object, not of this body.
  const sent =
    route.operation === 'CompleteMultipartUpload' ? undefined : findChecksumHeader(headers);
  const trailer = readTrailerName(headers, framing, sent);
  const sentAlgorithm =
    sent?.algorithm ?? (trailer === undefined ? undefined : algorithmOfHeader(trailer));
  checkAlgorithm(route, sentAlgorithm, options.checksumAlgorithm);
  return {
    ...framing,
    sizeBytes,
    bytesMax: options.bytesMax,
    md5: options.md5,
    expectedMd5: readContentMd5(headers),
    checksumAlgorithm: sentAlgorithm ?? options.checksumAlgorithm,
    expectedChecksum: sent?.value,
    trailerName: trailer,
  };
}

function readFraming(authentication: Authentication): Framing {
  const { payloadHash, chunkSigning } = authentication;
  const plain = {
    framing: 'plain',
    expectedSha256: undefined,
    chunkSigning: undefined,
    hasTrailer: false,
  } as const;
  if (HEX_SHA256.test(payloadHash)) return { ...plain, expectedSha256: payloadHash.toLowerCase() };
  switch (payloadHash) {
    case 'UNSIGNED-PAYLOAD':
      return plain;
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { ...plain, framing: 'chunked', chunkSigning };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { ...plain, framing: 'chunked', chunkSigning, hasTrailer: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { ...plain, framing: 'chunked', hasTrailer: true };
    default: {
      const message =
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, ' +
        'STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid ' +
        'sha256 value.';
      throw invalidArgument('x-amz-content-sha256', payloadHash, message);
    }
  }
}

function readSize(
  headers: RequestHeaders,
  framing: Framing,
  options: BodyOptions,
): number | undefined {
  if (framing.framing === 'chunked') {
    const text = headers.get('x-amz-decoded-content-length');
    if (text !== undefined) return readNumber('x-amz-decoded-content-length', text);
    // SDKs that do not know the length of a stream send unsigned chunks and leave it out.
    if (framing.chunkSigning !== undefined) throw new S3Error('MissingContentLength');
    return undefined;
  }
  const text = headers.get('content-length');
  if (text !== undefined) return readNumber('content-length', text);
  if (options.lengthRequired) throw new S3Error('MissingContentLength');
  // Without a length and without chunks of HTTP's own there is no body.
  return headers.has('transfer-encoding') ? undefined : 0;
}

function readNumber(name: string, text: string): number {
  if (NUMBER.test(text)) return Number(text);
  throw invalidArgument(name, text, `${name} must be a number of bytes`);
}

function readContentMd5(headers: RequestHeaders): string | undefined {
  const text = headers.get('content-md5');
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== text) {
    throw new S3Error('InvalidDigest', {
      message: 'The Content-MD5 you specified is not valid.',
      fields: { 'Content-MD5': text },
    });
  }
  return bytes.toString('hex');
}

function readTrailerName(
  headers: RequestHeaders,
  framing: Framing,
  sent: Checksum | undefined,
): string | undefined {
  const text = headers.get('x-amz-trailer');
  if (text === undefined) return undefined;
  const name = text.trim().toLowerCase();
  if (!framing.hasTrailer || algorithmOfHeader(name) === undefined) {
    const message = 'The value specified in the x-amz-trailer header is not supported';
    throw S3Error.of('InvalidRequest', message);
  }
  if (sent !== undefined) {
    const message =
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
    throw S3Error.of('InvalidRequest', message);
  }
  return name;
}

function checkAlgorithm(
  route: Route,
  sent: ChecksumAlgorithm | undefined,
  ofUpload: ChecksumAlgorithm | undefined,
): void {
  if (sent !== undefined && ofUpload !== undefined && sent !== ofUpload) {
    const message =
      `Checksum Type mismatch occurred, expected checksum Type: ${ofUpload.toLowerCase()}, ` +
      `actual checksum Type: ${sent.toLowerCase()}`;
    throw S3Error.of('InvalidRequest', message);
  }
  const promised = route.headers.get('x-amz-sdk-checksum-algorithm');
  if (promised === undefined || route.operation === 'CompleteMultipartUpload') return;
  const algorithm = requireChecksumAlgorithm(promised);
  if (sent === algorithm) return;
  const message =
    sent === undefined
      ? 'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or ' +
        'x-amz-trailer headers were found.'
      : `x-amz-sdk-checksum-algorithm says ${algorithm}, but ${checksumHeaderName(sent)} was sent.`;
  throw S3Error.of('InvalidRequest', message);
}
