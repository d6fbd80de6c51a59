/** The bounds of a transaction, and why they are what they are. */
import { assert } from '@dozo/base';

/** Bytes of a key: an S3 key of 1,024 bytes with the prefix and suffix that the gateway adds. */
export const KEY_BYTES_MAX = 1280;

/** Bytes of a routing key: a bucket or image id and a few numbers. */
export const ROUTING_KEY_BYTES_MAX = 128;

/** Bytes of one value: a chunk of 4 MiB, or one that a client was allowed to make twice as large. */
export const VALUE_BYTES_MAX = 8 * 1024 * 1024;

/** Keys that one transaction may name: every entry of a DeleteObjects request, thrice. */
export const KEYS_PER_TRANSACTION_MAX = 4096;

/** Bytes of pool number and routing-key length in front of both keys in a device key. */
export const DEVICE_KEY_HEADER_BYTES = 3;

/** Bytes of the longest key that a device has to take. */
export const DEVICE_KEY_BYTES_MAX = DEVICE_KEY_HEADER_BYTES + ROUTING_KEY_BYTES_MAX + KEY_BYTES_MAX;

assert(ROUTING_KEY_BYTES_MAX <= 255, 'the length of a routing key is stored in one byte');
