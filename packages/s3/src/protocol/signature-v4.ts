import type { KeyObject } from 'node:crypto';
import type { RequestHead } from './headers.ts';
import type { Route } from './route.ts';

/** What the signatures of an `aws-chunked` body are made with. */
export interface ChunkSigning {
  readonly key: KeyObject;
  /** Signature of the head, lower-case hex: what the first chunk is chained to. */
  readonly seedSignature: string;
  /** `yyyyMMddTHHmmssZ`. */
  readonly date: string;
  /** `yyyyMMdd/region/s3/aws4_request`. */
  readonly scope: string;
}

/** A request whose signature was right. */
export interface Authentication {
  readonly accessKeyId: string;
  readonly kind: 'header' | 'presigned';
  /** What was signed as hash of the body: hex SHA-256, `UNSIGNED-PAYLOAD` or `STREAMING-...`. */
  readonly payloadHash: string;
  readonly chunkSigning: ChunkSigning;
}

export interface SignatureVerifierOptions {
  /** The secret of an access key, or undefined if there is none. */
  readonly secretOf: (accessKeyId: string) => string | undefined;
}

/** Checks Signature V4 of headers and presigned URLs; keeps derived keys. */
export declare class SignatureVerifier {
  constructor(options: SignatureVerifierOptions);
  /** @param nowMs wall time. */
  verify(head: RequestHead, route: Route, nowMs: number): Authentication;
}
