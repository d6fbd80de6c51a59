/** The bounds of one placement group. */

/** Transactions that may wait or run at once; one more is refused with `STORE_BUSY`. */
export const TRANSACTIONS_IN_FLIGHT_MAX = 16_384;
