/**
 * Bodies: whatever the mode, bytes go in, payload comes out, and the end tells whether it was right.
 */
import { ChunkedBodyDecoder } from './payload-chunked.ts';
import type { BodyDecoder, BodySummary } from './payload-decoder.ts';
import { PayloadDigests } from './payload-digests.ts';
import type { BodyPlan } from './payload-plan.ts';

/** Begins to decode a body. */
export function createBodyDecoder(plan: BodyPlan): BodyDecoder {
  return plan.framing === 'chunked' ? new ChunkedBodyDecoder(plan) : new PlainBodyDecoder(plan);
}

/** Decodes a body that is in memory whole; `payload` is a view of it where possible. */
export function decodeWholeBody(
  plan: BodyPlan,
  body: Uint8Array,
): { readonly payload: Uint8Array; readonly summary: BodySummary } {
  const decoder = createBodyDecoder(plan);
  const pieces: Uint8Array[] = [];
  decoder.push(body, (payload) => pieces.push(payload));
  const summary = decoder.finish();
  return {
    payload: pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces),
    summary,
  };
}

/** A body that is its own payload. */
class PlainBodyDecoder implements BodyDecoder {
  readonly #digests: PayloadDigests;

  constructor(plan: BodyPlan) {
    this.#digests = new PayloadDigests(plan);
  }

  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): void {
    this.#digests.update(bytes);
    sink(bytes);
  }

  finish(): BodySummary {
    return this.#digests.finish();
  }
}
