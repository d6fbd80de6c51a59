/**
 * One keep-alive connection that sends requests prepared as bytes and only counts what comes back.
 *
 * The load generator shares the machine with the server that it measures, so it must cost little:
 * no header objects, no streams, a response is a status and a number of bytes. Understands
 * Content-Length and chunked bodies, which is what servers of S3 send.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Takes any certificate. */
  readonly isInsecure: boolean;
}

/** A request as it goes over the wire. */
export interface PreparedRequest {
  readonly head: Buffer;
  readonly body: Buffer | undefined;
}

export interface CountedResponse {
  readonly status: number;
  readonly bodyBytes: number;
}

interface Waiting {
  readonly resolve: (response: CountedResponse) => void;
  readonly reject: (error: Error) => void;
}

const HEAD_BYTES_MAX = 64 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
const READ_BUFFER_BYTES = 256 * 1024;

export class Connection {
  readonly #socket: Socket;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;
  /** What has arrived of a head, or of the line that begins a chunk. */
  #pending: Buffer = Buffer.alloc(0);
  #status = 0;
  #bodyBytes = 0;
  #bytesLeft = 0;
  #phase: 'head' | 'body' | 'chunk-size' | 'chunk' | 'trailer' = 'head';
  #closesAfter = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.#fail(error);
    });
    socket.on('close', () => {
      this.#fail(new Error('The server closed the connection.'));
    });
  }

  /** Connects. Rejects with what the socket says. */
  static open(target: Target): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const address = { host: target.host, port: target.port };
      const receive = (bytes: Buffer): void => {
        connection.#receive(bytes);
      };
      const socket = target.isTls
        ? connectTls({ ...address, rejectUnauthorized: !target.isInsecure })
        : connectTcp({
            ...address,
            onread: {
              buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
              callback: (sizeBytes, buffer) => {
                receive(Buffer.from(buffer.buffer, buffer.byteOffset, sizeBytes));
                return true;
              },
            },
          });
      const connection = new Connection(socket);
      if (target.isTls) socket.on('data', receive);
      socket.once('error', reject);
      socket.once(target.isTls ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject);
        resolve(connection);
      });
    });
  }

  /** Whether it can still be used. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** Sends one request and waits for the whole answer. One at a time. */
  send(request: PreparedRequest): Promise<CountedResponse> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting = { resolve, reject };
      if (request.body === undefined) {
        this.#socket.write(request.head);
        return;
      }
      this.#socket.cork();
      this.#socket.write(request.head);
      this.#socket.write(request.body);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  #receive(bytes: Buffer): void {
    let left = bytes;
    while (left.length > 0) {
      if (this.#phase === 'body' || this.#phase === 'chunk') left = this.#receiveBody(left);
      else left = this.#receiveLine(left);
    }
  }

  #receiveBody(bytes: Buffer): Buffer {
    const sizeBytes = Math.min(bytes.length, this.#bytesLeft);
    this.#bytesLeft -= sizeBytes;
    this.#bodyBytes += sizeBytes;
    if (this.#bytesLeft === 0) {
      if (this.#phase === 'body') this.#finish();
      else this.#phase = 'chunk-size';
    }
    return bytes.subarray(sizeBytes);
  }

  /** Takes a head, or a line of the chunked form, as soon as it is complete. */
  #receiveLine(bytes: Buffer): Buffer {
    const pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const end = this.#phase === 'head' ? HEAD_END : HEAD_END.subarray(0, 2);
    // The end of a chunk's data is an empty line before the next size.
    const skipped = this.#phase === 'chunk-size' && pending[0] === 13 ? 2 : 0;
    const endAt = pending.indexOf(end, skipped);
    if (endAt < 0) {
      if (pending.length > HEAD_BYTES_MAX) this.#socket.destroy(new Error('Endless header.'));
      // The buffer that was read into is used again: keep a copy.
      this.#pending = Buffer.from(pending);
      return Buffer.alloc(0);
    }
    this.#pending = Buffer.alloc(0);
    const line = pending.toString('latin1', skipped, endAt);
    const rest = pending.subarray(endAt + end.length);
    if (this.#phase === 'head') this.#takeHead(line);
    else if (this.#phase === 'chunk-size') this.#takeChunkSize(line);
    else if (line === '') this.#finish();
    return rest;
  }

  #takeHead(head: string): void {
    this.#status = Number(head.slice(9, 12));
    this.#bodyBytes = 0;
    if (this.#status === 100) return;
    this.#closesAfter = /\r\nconnection: *close/i.test(head);
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#phase = 'chunk-size';
      return;
    }
    this.#bytesLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#bytesLeft === 0) this.#finish();
    else this.#phase = 'body';
  }

  #takeChunkSize(line: string): void {
    this.#bytesLeft = Number.parseInt(line, 16);
    this.#phase = this.#bytesLeft === 0 ? 'trailer' : 'chunk';
  }

  #finish(): void {
    this.#phase = 'head';
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#closesAfter) {
      this.#failure = new Error('The server closes after this answer.');
      this.#socket.destroy();
    }
    waiting?.resolve({ status: this.#status, bodyBytes: this.#bodyBytes });
  }
}
