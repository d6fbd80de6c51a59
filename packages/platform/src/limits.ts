/** The limits of this package. */
import { assert } from '@dozo/base';

/** Buffers of one `writev`: Linux refuses more (`IOV_MAX`). */
export const WRITE_BUFFERS_MAX = 1024;

/** Bytes of one `writev`: Linux transfers at most 2^31 - 4096 in one call and Node counts in int32. */
export const WRITE_CALL_BYTES_MAX = 1024 * 1024 * 1024;

/** Bytes of one write when a file is filled with zeros: large enough to stream, small in memory. */
export const ZERO_FILL_BYTES = 4 * 1024 * 1024;

/** Random bytes drawn from the kernel at once: one call serves 256 nonces of 16 bytes. */
export const RANDOM_POOL_BYTES = 4096;

/** A request for random bytes above this goes to the kernel directly. */
export const RANDOM_POOLED_BYTES_MAX = 256;

assert(RANDOM_POOLED_BYTES_MAX * 2 <= RANDOM_POOL_BYTES, 'a refill must serve several requests');
