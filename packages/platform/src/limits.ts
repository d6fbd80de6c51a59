/** The limits of this package. */
import { assert, NETWORK_QUEUE_BYTES_MAX } from '@dozo/base';
import { QUARANTINED_CLAIMS_MAX, refuseIntervals } from '@dozo/claim';

/** Buffers of one `writev`: Linux refuses more (`IOV_MAX`). */
export const WRITE_BUFFERS_MAX = 1024;

/** Bytes of one `writev`: Linux transfers at most 2^31 - 4096 in one call and Node counts in int32. */
export const WRITE_CALL_BYTES_MAX = 1024 * 1024 * 1024;

/** Bytes of one write when a file is filled with zeros: large enough to stream, small in memory. */
export const ZERO_FILL_BYTES = 4 * 1024 * 1024;

/**
 * Reads that one device answers from the page cache in one turn of the event loop; further ones go
 * through the thread pool. Such a read lets no other event in: without a bound, a loop of them would
 * keep the process from its sockets. 64 small reads take about 0.1 ms.
 */
export const CACHED_READS_PER_TURN_MAX = 64;

/**
 * Bytes of one uncached read, or of one uncached write from memory that is not aligned. Large enough
 * to stream from any disk, small enough that a few of them in copy buffers do not count.
 */
export const UNCACHED_PIECE_BYTES_MAX = 4 * 1024 * 1024;

/** An uncached transfer up to this goes through a small copy buffer: a slot, a record's head. */
export const UNCACHED_SMALL_BYTES_MAX = 64 * 1024;

/** Copy buffers of each of the two sizes that one device keeps; who finds none free waits. */
export const UNCACHED_BUFFERS_MAX = 2;

assert(UNCACHED_SMALL_BYTES_MAX < UNCACHED_PIECE_BYTES_MAX, 'small buffers are the smaller ones');

/**
 * Open file descriptions for durable writes of one device: the log, a flush, a compaction and the claim may
 * each have one under way, and the thread pool runs no more than four at once unless told otherwise.
 */
export const DURABLE_DESCRIPTIONS_MAX = 8;

/**
 * The part of a volume's free room that its claim file may take when it is made. 8 MiB at once are
 * nothing to a volume of 1 GiB, and rude to one of 10 MiB.
 */
export const CLAIM_FILE_ROOM_SHARE_MAX = 0.25;

assert(CLAIM_FILE_ROOM_SHARE_MAX > 0 && CLAIM_FILE_ROOM_SHARE_MAX < 1, 'a part of the room');

/** Beat and lease of a claim file that is made, in ms: what `dozo guard` takes too. */
export const BEAT_INTERVAL_MS_DEFAULT = 1_000;
export const LEASE_MS_DEFAULT = 5_000;

assert(refuseIntervals(BEAT_INTERVAL_MS_DEFAULT, LEASE_MS_DEFAULT) === undefined, 'they fit');

/**
 * Earlier holders of a directory without proof of death that stay in the account of the next one. With
 * some room left: those of the same moment come on top.
 */
export const UNPROVEN_CLAIMS_KEPT_MAX = 8;

assert(UNPROVEN_CLAIMS_KEPT_MAX < QUARANTINED_CLAIMS_MAX, 'an account can name them');

/** Random bytes drawn from the kernel at once: one call serves 256 nonces of 16 bytes. */
export const RANDOM_POOL_BYTES = 4096;

/** A request for random bytes above this goes to the kernel directly. */
export const RANDOM_POOLED_BYTES_MAX = 256;

assert(RANDOM_POOLED_BYTES_MAX * 2 <= RANDOM_POOL_BYTES, 'a refill must serve several requests');

/** Threads of one `WorkerCompute`: each takes some 10 MiB before it does anything. */
export const COMPUTE_WORKERS_MAX = 16;

/** Tasks that wait for a thread. Their input, some MiB each, is memory that nobody else counts. */
export const COMPUTE_QUEUE_MAX = 64;

/** Tasks that one thread has at once: one that runs, and one that it finds when it is done. */
export const WORKER_TASKS_MAX = 2;

/** Heap of a thread in MiB. Tasks work in buffers, which lie outside; this ends one that runs away. */
export const WORKER_HEAP_MIB_MAX = 256;

/** Young objects of a thread in MiB: merges make few. V8 would let it take 96. */
export const WORKER_YOUNG_HEAP_MIB_MAX = 8;

/**
 * What V8 sets aside for young objects: two halves of 4 MiB. A scavenge costs about 0.3 ms however little
 * there is, so that with 1 MiB it is a sixth of the time of a gateway under load, with 4 MiB little.
 */
export const YOUNG_GENERATION_BYTES = 16 * 1024 * 1024;

/** By how much of what lives the heap grows, in percent, before it is collected. V8 would take up to 300. */
export const HEAP_GROWTH_PERCENT = 100;

/** Buffers from this on are given back to the machine as soon as they are freed. */
export const MAPPED_BUFFER_BYTES_MIN = 64 * 1024;

/** Threads that may end by themselves in a row, none having answered, before no more are started. */
export const WORKER_LOSSES_MAX = 3;

assert(
  WORKER_TASKS_MAX * COMPUTE_WORKERS_MAX <= COMPUTE_QUEUE_MAX,
  'the queue can feed all threads',
);

/** A connection with more queued than this asks its sender to wait; two round trips of a fast link. */
export const QUEUE_LONG_BYTES = 1024 * 1024;

/** A sender that waits goes on when no more than this is queued, so that the link never idles. */
export const QUEUE_SHORT_BYTES = 256 * 1024;

/** Frames up to this are copied together; above, a buffer of its own is cheaper than the copy. */
export const COPIED_FRAME_BYTES_MAX = 16 * 1024;

/**
 * Two neighbouring pieces of an unfinished frame have more bytes than this together, so that a frame of
 * 9 MiB is held in at most 1,152 arrays however finely it arrives.
 */
export const HELD_PIECE_BYTES_MIN = 16 * 1024;

/** How long a closing connection waits for its queue to leave and the peer's end before it is cut. */
export const CLOSE_TIMEOUT_MS = 5_000;

/** Idle time after which the kernel asks whether the peer is still there. */
export const KEEP_ALIVE_MS = 10_000;

/** Open connections of one listener; more are refused. Daemons have one connection per peer. */
export const CONNECTIONS_MAX = 4096;

assert(QUEUE_SHORT_BYTES < QUEUE_LONG_BYTES, 'a waiting sender must not wake at once');
assert(QUEUE_LONG_BYTES < NETWORK_QUEUE_BYTES_MAX, 'a sender is asked to wait before it is cut');
