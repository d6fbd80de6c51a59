/**
 * What the guard and its watcher tell each other: JSON, one message a line, over a socket that both
 * have as a descriptor. When one end is gone, the other one's read ends: that is a message too.
 */
import { Socket } from 'node:net';

import { assert } from '@dozo/base';

import type { LeaseTerm } from './lease-deadlines.ts';
import { CHANNEL_LINE_LENGTH_MAX } from './limits.ts';

/** Why the processes of the program are ended by force. */
export type KillReason =
  /** A beat could not be renewed in time, or the guard was stopped. */
  | 'lease'
  /** A higher claim stands on the ring, or the claim file is not the volume's any more. */
  | 'claim'
  /** The guard was killed. */
  | 'guard-gone';

/** From the guard to the watcher. */
export type GuardMessage =
  /** Run the program; the lease is this. */
  | { readonly kind: 'start'; readonly term: LeaseTerm }
  | { readonly kind: 'renewed'; readonly term: LeaseTerm }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  /** The lease will not be renewed any more: ask the program to end, kill it before its end. */
  | { readonly kind: 'terminate' }
  | { readonly kind: 'kill' };

/** From the watcher to the guard. */
export type WatcherMessage =
  | { readonly kind: 'started'; readonly pid: number }
  /** SIGTERM was sent because the lease runs out. */
  | { readonly kind: 'terminating' }
  | { readonly kind: 'killing'; readonly reason: KillReason }
  /** The program itself has ended. */
  | {
      readonly kind: 'ended';
      readonly status: number | null;
      readonly signal: NodeJS.Signals | null;
    }
  /** Processes that it had started live on and were asked to end. */
  | { readonly kind: 'leftovers'; readonly names: readonly string[] }
  /** These have outlived SIGKILL so far. */
  | { readonly kind: 'stuck'; readonly names: readonly string[] }
  /** No process of the program lives. The last message. */
  | { readonly kind: 'gone' };

/** One end. */
export class Channel<Sent, Received> {
  readonly #socket: Socket;
  #rest = '';

  /**
   * @param onMessage called for each message, in order.
   * @param onEnd called once, when the other end is gone.
   */
  constructor(socket: Socket, onMessage: (message: Received) => void, onEnd: () => void) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      assert(this.#rest.length <= CHANNEL_LINE_LENGTH_MAX, 'a line of the channel is too long');
      for (const line of lines) onMessage(JSON.parse(line) as Received);
    });
    // What cannot be told to somebody who is gone need not be told.
    socket.on('error', () => undefined);
    socket.once('close', onEnd);
  }

  /** Sends; without effect when the other end is gone. A socket that nobody reads stays short. */
  send(message: Sent): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Sends what is waiting and closes. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#socket.writable) resolve();
      else this.#socket.end(resolve);
    });
  }
}

/** The end that a parent left us as a descriptor. */
export function channelSocket(descriptor: number): Socket {
  return new Socket({ fd: descriptor, readable: true, writable: true });
}
