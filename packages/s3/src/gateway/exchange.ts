/**
 * One request and its answer.
 *
 * An answer is one call of `writeHead` with a flat list of names and values, which Node sends as it
 * is: setting headers one by one costs several times as much.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { assert } from '@dozo/base';
import type { S3Error } from '../errors.ts';
import { renderError } from '../protocol/index.ts';
import type { Authentication, RequestHead, Route } from '../protocol/index.ts';
import { UNREAD_BODY_BYTES_MAX } from '../limits.ts';
import type { Gate } from './admission.ts';

/** Names this software to clients. */
const SERVER_NAME = 'Dozo';

/** See the file comment. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly startMs: number;
  /** The client waits for a word before it sends the body. */
  readonly expectsContinue: boolean;
  /** Set as soon as they are known. */
  head: RequestHead | undefined;
  route: Route | undefined;
  authentication: Authentication | undefined;
  #heldBytes = 0;
  #gate: Gate | undefined;
  /** For the log. */
  errorCode: string | undefined;
  /** The client has been told to send its body. */
  #hasContinued = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    startMs: number,
    expectsContinue: boolean,
  ) {
    this.request = request;
    this.response = response;
    this.requestId = requestId;
    this.startMs = startMs;
    this.expectsContinue = expectsContinue;
  }

  /** Bytes of a gate that this request holds. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes note of bytes that were taken for this request, all of them from one gate. */
  hold(gate: Gate, sizeBytes: number): void {
    assert(this.#gate === undefined || this.#gate === gate, 'a request holds bytes of one gate');
    this.#gate = gate;
    this.#heldBytes += sizeBytes;
  }

  /** Gives back what it holds. */
  giveBack(): void {
    if (this.#heldBytes > 0) this.#gate?.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  /** Whether nobody is there any more. */
  get isGone(): boolean {
    return this.response.destroyed;
  }

  /** Whether the client speaks HTTPS. */
  get isEncrypted(): boolean {
    return this.request.socket instanceof TLSSocket;
  }

  /** Answers without a body. `headers` is a flat list of names and values. */
  sendEmpty(status: number, headers: readonly string[] = NONE): void {
    const list = this.#begin(headers);
    if (status !== 204 && status !== 304) list.push('Content-Length', '0');
    this.response.writeHead(status, list).end();
  }

  /** Answers with a document. */
  sendXml(status: number, body: string, headers: readonly string[] = NONE): void {
    const bytes = Buffer.from(body, 'utf8');
    const list = this.#begin(headers);
    list.push('Content-Type', 'application/xml', 'Content-Length', String(bytes.length));
    this.response.writeHead(status, list);
    if (this.request.method === 'HEAD') this.response.end();
    else this.response.end(bytes);
  }

  /** Sends the head of an answer whose body follows. `headers` names the length. */
  sendHead(status: number, headers: readonly string[]): void {
    this.response.writeHead(status, this.#begin(headers));
  }

  /** Answers with a refusal; breaks the connection where an answer has begun. */
  sendError(error: S3Error): void {
    this.errorCode = error.code;
    const { request, response } = this;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (response.destroyed) return;
    const headers: string[] = [];
    for (const [name, value] of Object.entries(error.detail.headers)) headers.push(name, value);
    // One that waited for a word may send its body or not, and nobody could tell what comes next.
    const isWaiting = this.expectsContinue && !this.#hasContinued;
    if (isWaiting && !request.complete) headers.push('Connection', 'close');
    else if (!request.complete) this.#discardRest();
    if (request.method === 'HEAD' || error.status === 304) {
      this.sendEmpty(error.status, headers);
      return;
    }
    const resource = this.route?.rawPath ?? request.url ?? '/';
    const { requestId } = this;
    this.sendXml(
      error.status,
      renderError({ error, resource, requestId, hostId: requestId }),
      headers,
    );
  }

  /** Lets a client that waits for it send its body. */
  continue(): void {
    if (!this.expectsContinue || this.response.headersSent) return;
    this.#hasContinued = true;
    this.response.writeContinue();
  }

  /**
   * Reads what is left of a refused body and throws it away, up to a bound. A connection that is
   * closed while the client still sends would be reset, and the client would never see the answer.
   */
  #discardRest(): void {
    const { request } = this;
    let discardedBytes = 0;
    request.on('data', (piece: Buffer) => {
      discardedBytes += piece.length;
      if (discardedBytes > UNREAD_BODY_BYTES_MAX) request.socket.destroy();
    });
    request.on('error', ignore);
    request.resume();
  }

  #begin(headers: readonly string[]): string[] {
    return ['Server', SERVER_NAME, 'x-amz-request-id', this.requestId, ...headers];
  }
}

const NONE: readonly string[] = [];

function ignore(): void {
  // A connection that breaks while a body is thrown away is no loss.
}
