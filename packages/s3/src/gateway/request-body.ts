/**
 * Reads request bodies: a short one whole, a long one piece by piece into a sink that may be slower
 * than the client.
 *
 * Handlers of plain events, no pipelines: a small PUT is one event with the body and one with its
 * end. A body that stops moving is ended by the socket's own timeout, which arrives here as `close`.
 */
import type { IncomingMessage } from 'node:http';
import { S3Error } from '../errors.ts';
import type { BodyDecoder, BodySummary } from '../protocol/index.ts';
import { ClientVanished } from './failure.ts';

/** Takes payload; a promise asks to wait. Called only after the last promise has settled. */
export type PayloadSink = (payload: Uint8Array) => Promise<void> | undefined;

/**
 * Reads a body whole.
 *
 * @throws S3Error `MaxMessageLengthExceeded` beyond `bytesMax`; {@link ClientVanished}.
 */
export function readWhole(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // It may have gone while the request stood in line; then no event will come any more.
    if (request.destroyed) throw new ClientVanished();
    let first: Buffer | undefined;
    let pieces: Buffer[] | undefined;
    let sizeBytes = 0;
    let hasEnded = false;
    request.on('data', (piece: Buffer) => {
      sizeBytes += piece.length;
      if (sizeBytes > bytesMax) {
        request.pause();
        reject(new S3Error('MaxMessageLengthExceeded'));
        return;
      }
      if (first === undefined) first = piece;
      else if (pieces === undefined) pieces = [first, piece];
      else pieces.push(piece);
    });
    request.on('end', () => {
      hasEnded = true;
      resolve(pieces === undefined ? (first ?? EMPTY) : Buffer.concat(pieces, sizeBytes));
    });
    request.on('close', () => {
      // An error is costly to make, and every request that went well closes too.
      if (!hasEnded) reject(new ClientVanished());
    });
    request.on('error', ignore);
  });
}

/**
 * Reads a body through a decoder into a sink, as fast as the sink takes it.
 *
 * Resolves when the whole body has come, was right, and the sink has taken it. After a rejection the
 * request is paused; nothing is called any more.
 */
export function pumpBody(
  request: IncomingMessage,
  decoder: BodyDecoder,
  sink: PayloadSink,
): Promise<BodySummary> {
  return new Promise((resolve, reject) => {
    if (request.destroyed) throw new ClientVanished();
    const pump = new Pump(request, decoder, sink, resolve, reject);
    request.on('data', (piece: Buffer) => pump.onData(piece));
    request.on('end', () => pump.onEnd());
    request.on('close', () => {
      pump.onClose();
    });
    request.on('error', ignore);
  });
}

class Pump {
  readonly #request: IncomingMessage;
  readonly #decoder: BodyDecoder;
  readonly #sink: PayloadSink;
  readonly #resolve: (summary: BodySummary) => void;
  readonly #reject: (error: unknown) => void;
  /** Payload that the sink has not taken yet. */
  #waiting: Uint8Array[] = [];
  readonly #collect = (payload: Uint8Array): void => {
    this.#waiting.push(payload);
  };
  #isBusy = false;
  #hasEnded = false;
  #isDone = false;

  constructor(
    request: IncomingMessage,
    decoder: BodyDecoder,
    sink: PayloadSink,
    resolve: (summary: BodySummary) => void,
    reject: (error: unknown) => void,
  ) {
    this.#request = request;
    this.#decoder = decoder;
    this.#sink = sink;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onData(piece: Buffer): void {
    if (this.#isDone) return;
    try {
      this.#decoder.push(piece, this.#collect);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#drain();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#drain();
  }

  /** After the end of the body it means nothing: what was read is still to be stored. */
  onClose(): void {
    if (!this.#hasEnded) this.fail(new ClientVanished());
  }

  fail(error: unknown): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#request.pause();
    this.#waiting = [];
    this.#reject(error);
  }

  /** Hands payload to the sink until it asks to wait. */
  #drain(): void {
    if (this.#isBusy || this.#isDone) return;
    try {
      for (let index = 0; index < this.#waiting.length; index += 1) {
        const busy = this.#sink(this.#waiting[index] as Uint8Array);
        if (busy === undefined) continue;
        this.#waiting = this.#waiting.slice(index + 1);
        this.#waitFor(busy);
        return;
      }
      this.#waiting.length = 0;
      if (this.#hasEnded) this.#finish();
    } catch (error) {
      this.fail(error);
    }
  }

  #waitFor(busy: Promise<void>): void {
    this.#isBusy = true;
    this.#request.pause();
    busy.then(
      () => {
        this.#isBusy = false;
        this.#request.resume();
        this.#drain();
      },
      (error: unknown) => this.fail(error),
    );
  }

  #finish(): void {
    const summary = this.#decoder.finish();
    this.#isDone = true;
    this.#resolve(summary);
  }
}

const EMPTY = Buffer.alloc(0);

function ignore(): void {
  // A broken request ends in `close`, which is where it is dealt with.
}
