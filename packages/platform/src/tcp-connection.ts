/**
 * One end of a TCP connection that carries frames.
 *
 * Frames that are sent in one turn of the event loop are gathered and handed to the kernel at its
 * end, small ones copied together: a system call per frame would cost ten times what a frame costs.
 */
import {
  assert,
  NETWORK_FRAME_BYTES_MAX,
  NETWORK_QUEUE_BYTES_MAX,
  NetworkError,
  writeUint32,
} from '@dozo/base';
import type { Connection, ConnectionEvents } from '@dozo/base';
import type { Socket } from 'node:net';

import { kernelErrorName } from './errors.ts';
import { FRAME_HEADER_BYTES, FrameDecoder } from './frame-decoder.ts';
import {
  CLOSE_TIMEOUT_MS,
  COPIED_FRAME_BYTES_MAX,
  QUEUE_LONG_BYTES,
  QUEUE_SHORT_BYTES,
} from './limits.ts';

/** A {@link Connection} over a socket, which it owns. */
export class TcpConnection implements Connection {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder;
  #events: ConnectionEvents | undefined;
  /** Frames of this turn. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  /** Handed to the socket and not yet to the kernel. */
  #writingBytes = 0;
  #isFlushScheduled = false;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #error: NetworkError | undefined;
  #drainWaiters: (() => void)[] = [];

  constructor(socket: Socket, remoteAddress: string) {
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.#decoder = new FrameDecoder(NETWORK_FRAME_BYTES_MAX, (frame) => {
      if (this.#state === 'open') this.#events?.onFrame(frame);
    });
  }

  /** Begins to receive. Called once, in the turn in which the socket was connected. */
  start(events: ConnectionEvents): void {
    assert(this.#events === undefined, 'a connection is started once');
    this.#events = events;
    this.#socket.on('data', (chunk: Buffer) => {
      // Not as a Buffer: its `slice` does not copy, and receivers rely on that of a Uint8Array.
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
      if (this.#decoder.push(bytes)) return;
      this.#fail('the peer announced a frame that is too large; it may not speak this protocol');
    });
    this.#socket.on('end', () => {
      if (this.#decoder.isInsideFrame) this.#fail('the peer ended in the middle of a frame');
      // Node ends this side as soon as what is queued has been written.
      else if (this.#state === 'open') this.#startClosing();
    });
    this.#socket.on('error', (error) => {
      this.#error ??= this.#closedError(kernelErrorName(error), error);
    });
    this.#socket.on('close', () => {
      const isEndedByClose = this.#state === 'closing';
      this.#state = 'closed';
      this.#gathered = [];
      this.#wakeDrained();
      events.onClose(isEndedByClose ? undefined : (this.#error ?? this.#closedError('it ended')));
    });
  }

  send(frame: Uint8Array): boolean {
    if (this.#state !== 'open') throw this.#closedError('it has been closed');
    if (frame.length > NETWORK_FRAME_BYTES_MAX) {
      throw new NetworkError(
        `Cannot send ${frame.length} bytes to ${this.remoteAddress} in one frame: ` +
          `${NETWORK_FRAME_BYTES_MAX} is the most. Send them in parts.`,
        { code: 'NETWORK_FRAME_TOO_LARGE', address: this.remoteAddress },
      );
    }
    this.#gathered.push(frame);
    this.#gatheredBytes += FRAME_HEADER_BYTES + frame.length;
    const queuedBytes = this.#queuedBytes();
    if (queuedBytes > NETWORK_QUEUE_BYTES_MAX) {
      this.#fail('the peer does not read what is sent to it');
      return false;
    }
    if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      setImmediate(() => {
        this.#isFlushScheduled = false;
        this.#flush();
      });
    }
    return queuedBytes < QUEUE_LONG_BYTES;
  }

  drained(): Promise<void> {
    if (this.#state === 'closed' || this.#queuedBytes() <= QUEUE_SHORT_BYTES) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#drainWaiters.push(resolve);
    });
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#flush();
    this.#socket.end();
    this.#startClosing();
  }

  #startClosing(): void {
    this.#state = 'closing';
    // A peer that is gone or does not read would hold the connection and its queue for ever.
    const timeout = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS).unref();
    this.#socket.once('close', () => clearTimeout(timeout));
  }

  #queuedBytes(): number {
    return this.#gatheredBytes + this.#writingBytes;
  }

  #flush(): void {
    const frames = this.#gathered;
    const bytes = this.#gatheredBytes;
    if (frames.length === 0 || this.#state === 'closed') return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writingBytes += bytes;
    const buffers = gather(frames);
    const last = buffers.pop();
    assert(last !== undefined, 'there is something to write');
    this.#socket.cork();
    for (const buffer of buffers) this.#socket.write(buffer);
    this.#socket.write(last, () => {
      this.#writingBytes -= bytes;
      if (this.#queuedBytes() <= QUEUE_SHORT_BYTES) this.#wakeDrained();
    });
    this.#socket.uncork();
  }

  #wakeDrained(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const wake of waiters) wake();
  }

  /** Ends the connection at once; the owner hears of it with an error. */
  #fail(reason: string): void {
    this.#error ??= this.#closedError(reason);
    this.#state = 'closed';
    this.#socket.destroy();
  }

  #closedError(reason: string, cause?: unknown): NetworkError {
    return new NetworkError(
      `The connection to ${this.remoteAddress} has ended: ${reason}. Connect again.`,
      { code: 'NETWORK_CLOSED', address: this.remoteAddress },
      { cause },
    );
  }
}

/** The bytes of `frames` with their headers, in few buffers: small frames are copied together. */
function gather(frames: readonly Uint8Array[]): Uint8Array[] {
  let copiedBytes = 0;
  for (const frame of frames) {
    copiedBytes += FRAME_HEADER_BYTES;
    if (frame.length <= COPIED_FRAME_BYTES_MAX) copiedBytes += frame.length;
  }
  const staging = new Uint8Array(copiedBytes);
  const buffers: Uint8Array[] = [];
  let start = 0;
  let end = 0;
  for (const frame of frames) {
    writeUint32(staging, end, frame.length);
    end += FRAME_HEADER_BYTES;
    if (frame.length <= COPIED_FRAME_BYTES_MAX) {
      staging.set(frame, end);
      end += frame.length;
    } else {
      buffers.push(staging.subarray(start, end), frame);
      start = end;
    }
  }
  if (end > start) buffers.push(staging.subarray(start, end));
  return buffers;
}
