/**
 * What went wrong, in S3's words: errors of the store become codes that clients act on.
 */
import { CodecError, DozoError } from '@dozo/base';
import { S3Error } from '../errors.ts';

/** The client went away before its request was read or answered; nobody is there to be told. */
export class ClientVanished extends Error {
  override readonly name = 'ClientVanished';
}

/** The answer to whatever a handler threw. */
export function asS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof CodecError) {
    return new S3Error('InternalError', {
      message: `A record of this object is damaged: ${error.message}`,
      cause: error,
    });
  }
  if (!(error instanceof DozoError)) return new S3Error('InternalError', { cause: error });
  switch ((error.detail as { readonly code: string }).code) {
    case 'STORE_FULL':
      return new S3Error('InsufficientStorage', { cause: error });
    case 'STORE_BUSY':
      return new S3Error('SlowDown', { headers: { 'retry-after': '1' }, cause: error });
    case 'STORE_CLOSED':
      return S3Error.of('ServiceUnavailable', 'The server is shutting down. Try again.');
    case 'STORE_FAILED':
      return new S3Error('InternalError', {
        message:
          'The device failed while this was written; whether it was done is unknown. Look at the server, then read what is there.',
        cause: error,
      });
    case 'VALUE_DAMAGED':
      return new S3Error('InternalError', {
        message: 'What is stored does not match its checksum and is not returned.',
        cause: error,
      });
    default:
      return new S3Error('InternalError', { cause: error });
  }
}
