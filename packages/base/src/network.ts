/**
 * The Network port: connections that carry frames, in order, until one end closes or the link dies.
 *
 * A frame is delivered once, whole and in order, or not at all; what was sent before a connection
 * broke may or may not have arrived. Frames that are sent in one turn of the event loop travel
 * together.
 */
import { DozoError } from './errors.ts';

/**
 * - `NETWORK_UNREACHABLE`: nobody could be reached at that address in time.
 * - `NETWORK_REFUSED`: the host is there and nobody listens. Suspicion, never proof, of a death.
 * - `NETWORK_ADDRESS_IN_USE`: somebody else listens there.
 * - `NETWORK_CLOSED`: the connection or listener has ended.
 * - `NETWORK_FRAME_TOO_LARGE`: over {@link NETWORK_FRAME_BYTES_MAX}.
 */
export interface NetworkErrorDetail {
  readonly code:
    | 'NETWORK_UNREACHABLE'
    | 'NETWORK_REFUSED'
    | 'NETWORK_ADDRESS_IN_USE'
    | 'NETWORK_CLOSED'
    | 'NETWORK_FRAME_TOO_LARGE';
  readonly address: string;
}

/** The error that the methods of {@link Network} reject with. */
export class NetworkError extends DozoError<NetworkErrorDetail> {}

/** Any {@link NetworkError}, also of another copy of this package. */
export type AnyNetworkError = DozoError<NetworkErrorDetail>;

/** The largest frame in bytes: one value of 8 MiB and its envelope. */
export const NETWORK_FRAME_BYTES_MAX = 9 * 1024 * 1024;

/** A connection with more than so many bytes queued is ended: its peer is too slow or gone. */
export const NETWORK_QUEUE_BYTES_MAX = 64 * 1024 * 1024;

/** What a connection tells its owner. */
export interface ConnectionEvents {
  /** A frame has arrived; the bytes belong to the receiver. */
  onFrame(frame: Uint8Array): void;
  /** The connection has ended; called once, with the error if it did not end by `close`. */
  onClose(error: AnyNetworkError | undefined): void;
}

/** One end of a connection. */
export interface Connection {
  /** The other end, for people. */
  readonly remoteAddress: string;
  /**
   * Queues a frame, which must not change any more. Returns false when the sender should wait for
   * {@link drained} before it sends more; the frame is queued all the same. A sender that goes on
   * sending to a peer that does not read loses the connection at {@link NETWORK_QUEUE_BYTES_MAX}.
   * Throws `NETWORK_CLOSED` and `NETWORK_FRAME_TOO_LARGE`.
   */
  send(frame: Uint8Array): boolean;
  /** Resolves when the queue is short again or the connection has ended. */
  drained(): Promise<void>;
  /**
   * Ends the connection after what is queued has been handed to the network, and in a bounded time
   * also when the peer does not take it. Idempotent.
   */
  close(): void;
}

/** Something that listens. */
export interface Listener {
  /** Where it listens, `host:port`. */
  readonly address: string;
  /** Stops listening; open connections go on. */
  close(): Promise<void>;
}

/** The network, as `platform` has it and the simulator makes it up. */
export interface Network {
  /** Listens on `address` (`host:port`; port 0 picks one) and asks `accept` for each newcomer. */
  listen(address: string, accept: (connection: Connection) => ConnectionEvents): Promise<Listener>;
  /** Connects to `address` within `timeoutMs`. */
  connect(address: string, timeoutMs: number, events: ConnectionEvents): Promise<Connection>;
}
