/** The error of byte codecs. */
import { DozoError } from './errors.ts';

/**
 * - `CODEC_TOO_SHORT`: the input ends inside a field.
 * - `CODEC_INVALID`: a field holds what it must not.
 */
export interface CodecErrorDetail {
  readonly code: 'CODEC_TOO_SHORT' | 'CODEC_INVALID';
  /** The structure that was read. */
  readonly what: string;
  /** Where in it, in bytes. */
  readonly offset: number;
}

/** Bytes from outside that do not have the form that they should have. */
export class CodecError extends DozoError<CodecErrorDetail> {}
