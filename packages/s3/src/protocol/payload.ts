import type { Checksum, ChecksumAlgorithm } from './checksum.ts';
import type { Route } from './route.ts';
import type { Authentication } from './signature-v4.ts';

export interface BodyOptions {
  /** More decoded bytes than this: `EntityTooLarge`. */
  readonly bytesMax: number;
  /** PutObject and UploadPart: without a length, `MissingContentLength`. */
  readonly lengthRequired: boolean;
  /** Compute this checksum even if the client sends none; another one than this is refused. */
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  /** Whether the MD5 is wanted as an ETag. */
  readonly md5: boolean;
}

/** What the head of a request says of its body. */
export interface BodyPlan {
  /** Decoded bytes that are to come; undefined where only the end will tell. */
  readonly sizeBytes: number | undefined;
}

/** What is known of a body that came whole and was right. */
export interface BodySummary {
  readonly sizeBytes: number;
  /** Lower-case hex; empty if `md5` was not asked for. */
  readonly md5: string;
  /** The checksum that the client sent, checked, or that was asked for. */
  readonly checksum: Checksum | undefined;
}

/** Takes the bytes of a body as they come and gives the payload, checked at the end. */
export interface BodyDecoder {
  /**
   * Takes the next bytes. `sink` is called, before this returns, with each run of payload in them:
   * views of `bytes`, not copies.
   */
  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): void;
  /** To be called after the last byte. What was given to sinks counts only if this returns. */
  finish(): BodySummary;
}

/** Reads what the head says of the body, and refuses what can be refused before the body comes. */
export declare function planBody(
  route: Route,
  authentication: Authentication,
  options: BodyOptions,
): BodyPlan;

export declare function createBodyDecoder(plan: BodyPlan): BodyDecoder;

/** The short way for a body that is in memory whole. */
export declare function decodeWholeBody(
  plan: BodyPlan,
  body: Uint8Array,
): { readonly payload: Uint8Array; readonly summary: BodySummary };
