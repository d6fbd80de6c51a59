/**
 * Decodes `aws-chunked` bodies: chunks with their size and often a signature before each, and
 * sometimes headers after the last.
 *
 * ```
 * 10000;chunk-signature=<64 hex>\r\n <65536 bytes> \r\n     size in hex
 * 0;chunk-signature=<64 hex>\r\n                             the last chunk
 * x-amz-checksum-crc32c:sOO8/Q==\r\n                         trailer modes only
 * x-amz-trailer-signature:<64 hex>\r\n                       signed trailer only
 * \r\n
 * ```
 *
 * A synchronous state machine over the bytes as they come, split anywhere. Payload is handed on as
 * views, before the signature of its chunk is known to be right; nothing counts before `finish`.
 * Lines are bounded, and so is what is kept between two pushes: one unfinished line.
 *
 * Source: S3 API Reference, "Transferring Payload in Multiple Chunks", "Including Trailing Headers".
 */
import { createHash, hash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { S3Error } from '../errors.ts';
import { CHUNK_LINE_BYTES_MAX, TRAILER_LINES_MAX } from '../limits.ts';
import { algorithmOfHeader, isChecksumValue } from './checksum.ts';
import type { BodyDecoder, BodySummary } from './payload-decoder.ts';
import { PayloadDigests } from './payload-digests.ts';
import type { BodyPlan } from './payload-plan.ts';
import { isSignatureOf } from './signature-v4.ts';
import type { ChunkSigning } from './signature-v4.ts';

type State = 'chunk-line' | 'data' | 'data-end' | 'trailer' | 'done';

const LINE_FEED = 10;
const SHA256_OF_NOTHING = hash('sha256', '', 'hex');
const CHUNK_LINE = /^([0-9a-f]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?\r$/i;
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';

/** Decodes one `aws-chunked` body. @see BodyDecoder */
export class ChunkedBodyDecoder implements BodyDecoder {
  readonly #plan: BodyPlan;
  readonly #digests: PayloadDigests;
  readonly #signatures: ChunkSignatures | undefined;
  readonly #trailer: Trailer;
  #state: State = 'chunk-line';
  /** The beginning of a line whose end has not come. */
  #line = '';
  #chunkBytesLeft = 0;

  constructor(plan: BodyPlan) {
    this.#plan = plan;
    this.#digests = new PayloadDigests(plan);
    this.#signatures =
      plan.chunkSigning === undefined ? undefined : new ChunkSignatures(plan.chunkSigning);
    this.#trailer = new Trailer(plan);
  }

  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): void {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, offset + this.#chunkBytesLeft);
        const payload = bytes.subarray(offset, end);
        this.#takePayload(payload);
        sink(payload);
        offset = end;
      } else if (this.#state === 'done') {
        throw malformedTrailer('bytes follow the end of the body');
      } else {
        offset = this.#takeLine(bytes, offset);
      }
    }
  }

  finish(): BodySummary {
    // The empty line at the very end says nothing that is not known without it.
    const isWhole =
      this.#state === 'done' ||
      (this.#state === 'trailer' && this.#line === '' && this.#trailer.isComplete);
    if (!isWhole) {
      throw S3Error.of('IncompleteBody', 'The body ended before its last chunk and trailer.');
    }
    return this.#digests.finish(this.#trailer.checksum);
  }

  #takePayload(payload: Uint8Array): void {
    this.#digests.update(payload);
    this.#signatures?.update(payload, this.#chunkBytesLeft === payload.length);
    this.#chunkBytesLeft -= payload.length;
    if (this.#chunkBytesLeft === 0) this.#state = 'data-end';
  }

  /** Takes bytes up to a line feed, and the line if it is whole. Returns the offset behind it. */
  #takeLine(bytes: Uint8Array, offset: number): number {
    const lineFeed = bytes.indexOf(LINE_FEED, offset);
    const end = lineFeed < 0 ? bytes.length : lineFeed;
    if (this.#line.length + end - offset > CHUNK_LINE_BYTES_MAX) {
      throw this.#malformedLine(`a line is longer than ${CHUNK_LINE_BYTES_MAX} bytes`);
    }
    const line = this.#line + asBuffer(bytes).toString('latin1', offset, end);
    if (lineFeed < 0) {
      this.#line = line;
      return end;
    }
    this.#line = '';
    if (this.#state === 'chunk-line') this.#onChunkLine(line);
    else if (this.#state === 'data-end') this.#onDataEnd(line);
    else this.#onTrailerLine(line);
    return lineFeed + 1;
  }

  #onChunkLine(line: string): void {
    const match = CHUNK_LINE.exec(line);
    const signature = match?.[2]?.toLowerCase();
    if (match === null || (signature === undefined) !== (this.#signatures === undefined)) {
      throw this.#malformedLine(
        'a chunk must begin with its size in hex and its signature, if signed',
      );
    }
    const sizeBytes = Number.parseInt(match[1] as string, 16);
    const limit = this.#plan.sizeBytes ?? this.#plan.bytesMax;
    if (sizeBytes > limit - this.#digests.sizeBytes) {
      throw new S3Error(this.#plan.sizeBytes === undefined ? 'EntityTooLarge' : 'IncompleteBody', {
        message: `A chunk of ${sizeBytes} bytes makes more than the ${limit} that may come.`,
      });
    }
    this.#chunkBytesLeft = sizeBytes;
    this.#signatures?.begin(signature as string);
    if (sizeBytes > 0) {
      this.#state = 'data';
    } else {
      this.#signatures?.end();
      this.#state = 'trailer';
    }
  }

  #onDataEnd(line: string): void {
    if (line !== '\r') throw this.#malformedLine('a chunk must end with an empty line');
    this.#signatures?.end();
    this.#state = 'chunk-line';
  }

  #onTrailerLine(line: string): void {
    const text = line.trim();
    if (text !== '') {
      this.#trailer.take(text, this.#signatures);
    } else if (this.#trailer.isComplete) {
      this.#state = 'done';
    } else {
      this.#trailer.onEmptyLine();
    }
  }

  #malformedLine(why: string): S3Error {
    if (this.#state === 'trailer') return malformedTrailer(why);
    return S3Error.of('InvalidChunkSizeError', `The body is not aws-chunked: ${why}.`);
  }
}

/** The chain of chunk signatures: each covers the one before. */
class ChunkSignatures {
  readonly #signing: ChunkSigning;
  #previous: string;
  #current = '';
  #digest = SHA256_OF_NOTHING;
  #running: Hash | undefined;

  constructor(signing: ChunkSigning) {
    this.#signing = signing;
    this.#previous = signing.seedSignature;
  }

  begin(signature: string): void {
    this.#current = signature;
    this.#digest = SHA256_OF_NOTHING;
    this.#running = undefined;
  }

  /** @param isLast whether the chunk ends with these bytes. */
  update(bytes: Uint8Array, isLast: boolean): void {
    if (this.#running === undefined) {
      if (isLast) {
        this.#digest = hash('sha256', bytes, 'hex');
        return;
      }
      this.#running = createHash('sha256');
    }
    this.#running.update(bytes);
    if (isLast) this.#digest = this.#running.digest('hex');
  }

  end(): void {
    this.#check(
      `AWS4-HMAC-SHA256-PAYLOAD\n${this.#context()}\n${SHA256_OF_NOTHING}\n${this.#digest}`,
    );
  }

  /** @param lines `name:value\n` of each trailer. */
  checkTrailer(lines: string, signature: string): void {
    this.#current = signature;
    this.#check(`AWS4-HMAC-SHA256-TRAILER\n${this.#context()}\n${hash('sha256', lines, 'hex')}`);
  }

  #context(): string {
    return `${this.#signing.date}\n${this.#signing.scope}\n${this.#previous}`;
  }

  #check(stringToSign: string): void {
    if (!isSignatureOf(this.#signing.key, stringToSign, this.#current)) {
      throw new S3Error('SignatureDoesNotMatch', {
        message: 'The signature of a chunk or trailer does not match what we calculated.',
        fields: { StringToSign: stringToSign, SignatureProvided: this.#current },
      });
    }
    this.#previous = this.#current;
  }
}

/** The lines after the last chunk. */
class Trailer {
  readonly #plan: BodyPlan;
  #checksum: string | undefined;
  #isSigned: boolean;
  #lineCount = 0;

  constructor(plan: BodyPlan) {
    this.#plan = plan;
    this.#isSigned = !plan.hasTrailer || plan.chunkSigning === undefined;
  }

  /** Base64; undefined unless one came. */
  get checksum(): string | undefined {
    return this.#checksum;
  }

  /** Whether everything that must come has come. */
  get isComplete(): boolean {
    return this.#isSigned && (this.#plan.trailerName === undefined || this.#checksum !== undefined);
  }

  take(line: string, signatures: ChunkSignatures | undefined): void {
    this.#count();
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === this.#plan.trailerName && this.#checksum === undefined) {
      const algorithm = algorithmOfHeader(name);
      if (algorithm === undefined || !isChecksumValue(algorithm, value)) {
        throw S3Error.of('InvalidRequest', `Value for ${name} trailing header is invalid.`);
      }
      this.#checksum = value;
    } else if (name === TRAILER_SIGNATURE && signatures !== undefined && !this.#isSigned) {
      if (!/^[0-9a-f]{64}$/.test(value)) throw malformedTrailer('its signature is none');
      const { trailerName } = this.#plan;
      const lines = trailerName === undefined ? '' : `${trailerName}:${this.#checksum ?? ''}\n`;
      signatures.checkTrailer(lines, value);
      this.#isSigned = true;
    } else {
      throw malformedTrailer(`"${line}" was not announced, or came twice`);
    }
  }

  /** Some clients put one empty line between a trailer and its signature; too many end it. */
  onEmptyLine(): void {
    this.#count();
    if (this.#isSigned) throw malformedTrailer(`${this.#plan.trailerName ?? ''} is missing`);
  }

  #count(): void {
    this.#lineCount++;
    if (this.#lineCount > TRAILER_LINES_MAX) throw malformedTrailer('it has too many lines');
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function malformedTrailer(why: string): S3Error {
  return new S3Error('MalformedTrailerError', { fields: { Reason: why } });
}
