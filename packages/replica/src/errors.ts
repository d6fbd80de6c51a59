/** What a transaction or a read through a placement group can end with. */
import { DozoError } from '@dozo/base';

/**
 * - `PRECONDITION_FAILED`: nothing was applied; `index` is the first precondition that does not hold.
 * - `TRANSACTION_INVALID`: a bug of the caller: lengths out of range, a key named twice.
 * - `TRANSACTION_TOO_LARGE`: over what one device takes at once; split it.
 * - `STORE_FULL`: no room; nothing was applied. Transactions that only delete are still taken.
 * - `STORE_BUSY`: too much is waiting; nothing was applied. Try again later.
 * - `STORE_CLOSED`: shut down; nothing was applied.
 * - `STORE_FAILED`: the device failed while it was written. The outcome is unknown.
 * - `STORE_READ_FAILED`: the device could not be read; nothing was applied or returned.
 * - `VALUE_DAMAGED`: what is on the device, a value or the index that says where it is, does not match its
 *   checksum; nothing was applied or returned.
 */
export type TransactionErrorDetail =
  | { readonly code: 'PRECONDITION_FAILED'; readonly index: number }
  | {
      readonly code:
        | 'TRANSACTION_INVALID'
        | 'TRANSACTION_TOO_LARGE'
        | 'STORE_FULL'
        | 'STORE_BUSY'
        | 'STORE_CLOSED'
        | 'STORE_FAILED'
        | 'STORE_READ_FAILED'
        | 'VALUE_DAMAGED';
    };

/** What {@link TransactionErrorDetail} lists. */
export class TransactionError extends DozoError<TransactionErrorDetail> {}
