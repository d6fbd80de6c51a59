/** The face of everything that decodes a body. */
import type { Checksum } from './checksum.ts';

/** What is known of a body that came whole and was right. */
export interface BodySummary {
  readonly sizeBytes: number;
  /** Lower-case hex; empty if neither `md5` was asked for nor Content-MD5 sent. */
  readonly md5: string;
  /** The checksum that the client sent, checked, or that was asked for. */
  readonly checksum: Checksum | undefined;
}

/** Takes the bytes of a body as they come and gives the payload, checked at the end. */
export interface BodyDecoder {
  /**
   * Takes the next bytes. `sink` is called, before this returns, with each run of payload in them:
   * views of `bytes`, not copies.
   *
   * @throws S3Error `InvalidChunkSizeError`, `IncompleteBody` (more than announced),
   *   `EntityTooLarge`, `MalformedTrailerError`, `SignatureDoesNotMatch`, `InvalidRequest`.
   */
  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): void;

  /**
   * To be called once, after the last byte. What was given to sinks counts only if this returns.
   *
   * @throws S3Error `IncompleteBody`, `XAmzContentSHA256Mismatch`, `BadDigest`.
   */
  finish(): BodySummary;
}
