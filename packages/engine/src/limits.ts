/** Limits of the engine, with unit and reason. */
import { assert } from '@dozo/base';
import { QUARANTINED_CLAIMS_MAX, RESERVATION_SEGMENTS_MAX } from '@dozo/claim';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes that devices write in one piece at best, and what every structure is aligned to. */
export const BLOCK_BYTES = 4096;

/** Longest key in bytes: the 1,024 of an S3 key, escaped at worst, and the prefixes before it. */
export const KEY_BYTES_MAX = 1536;

/** Longest value in bytes. Smaller on devices with small segments, see `limitsOf`. */
export const VALUE_BYTES_MAX = 8 * MIB;

/** Bytes of a value that one checksum covers: what a read of a range reads at least. */
export const VALUE_BLOCK_BYTES = 64 * KIB;

/** Values from this length on are written from where they are; shorter ones are copied. */
export const STAGED_VALUE_BYTES_MAX = 64 * KIB;

/** Payload of a segment on large devices: sixteen chunks of 4 MiB. */
export const SEGMENT_PAYLOAD_BYTES_MAX = 64 * MIB;

/** Payload of a segment on small devices: two values of 8 MiB. */
export const SEGMENT_PAYLOAD_BYTES_MIN = 16 * MIB;

/**
 * Payload of a segment that a test may ask for. Below 128 KiB a group, padded to a block, and a checkpoint take
 * so much of a segment that a device which is filled to the brim may come to a standstill.
 */
export const SEGMENT_PAYLOAD_BYTES_FLOOR = 32 * KIB;

/** Segments that a device should have: with fewer, the reserve takes too large a part. */
export const SEGMENT_COUNT_WANTED = 32;

/** With fewer segments than this the reserve leaves nothing for data. */
export const SEGMENT_COUNT_MIN = 14;

/** Segments of a device of 4 PiB; keeps the table of segments in memory below 2 GiB. */
export const SEGMENT_COUNT_MAX = 64 * MIB;

/**
 * Bytes of one group at most, unless a single batch is longer: 4 MiB of values and their heads. Bounds
 * the latency of a commit, and lets the checksums of the next one be computed while it is written.
 */
export const GROUP_BYTES_MAX = 4 * MIB + 256 * KIB;

/** With so much waiting, a group is formed at once; with less, callers get time to come together. */
export const EAGER_BYTES = 2 * MIB;

/** Buffers of one vectored write: Linux takes 1,024. */
export const GROUP_BUFFERS_MAX = 512;

/** Operations of one batch: bounds the time that encoding it holds the thread. */
export const BATCH_OPERATIONS_MAX = 65_536;

/** What may wait for a commit. Over it `apply` refuses: the bytes are the callers' memory. */
export const QUEUED_BYTES_MAX = 256 * MIB;

/** Batches that may wait for a commit. */
export const QUEUED_BATCHES_MAX = 65_536;

/** Bytes of one checkpoint page: what one step of a checkpoint writes, about 2 ms of work. */
export const CHECKPOINT_PAGE_BYTES = 256 * KIB;

/** Values below this length stand in the tree, longer ones stay in the log: see decision 0077. */
export const INLINE_VALUE_BYTES_MAX = 512;

/** Memory that a memtable takes before it is flushed: 12 MB of tables, about. Less on the small segments of tests. */
export const MEMTABLE_BYTES_MAX = 16 * MIB;

/** Memory that a memtable takes before it is flushed, on the smallest devices of tests. */
export const MEMTABLE_BYTES_MIN = 16 * KIB;

/** Bytes of a table, on the smallest devices of tests: some blocks of entries, filter and index. */
export const TABLE_BYTES_MIN = 16 * KIB;

/** A segment takes so many tables. */
export const TABLES_PER_SEGMENT = 16;

/**
 * Damaged tables that are remembered: a disk with more is lost. A number each, and the picker looks at
 * them one by one.
 */
export const DAMAGED_TABLES_MAX = 1024;

/** Runs of level 0 at which writes wait for compaction: every read may have to ask each. */
export const LEVEL_ZERO_RUNS_STALL = 20;

/** Bytes of a table that one step of a merge makes on the engine's own thread: about a millisecond of work. */
export const MERGE_STEP_BYTES = 128 * KIB;

/** Bytes that a merge has of all its runs at once: on the engine's own thread, and on another one. */
export const MERGE_READ_BYTES = 512 * KIB;
export const MERGE_READ_BYTES_APART = 4 * MIB;

/** Steps of a merge in a row of which another thread made nothing, before the engine's own thread goes on. */
export const COMPUTE_FAILURES_MAX = 3;

/** Bytes of one run that it reads at least: some blocks. */
export const MERGE_READ_BYTES_MIN = 32 * KIB;

/** Bytes of one write of a table: commits of the log get their turn after each. */
export const TABLE_WRITE_BYTES = 512 * KIB;

/** Bytes of blocks of tables that are kept in memory unless told otherwise. */
export const CACHE_BYTES_DEFAULT = 64 * MIB;

/** The log since the last flush may have so many segments before the memtable is flushed for its sake. */
export const REPLAY_SEGMENTS_MAX = 4;

/** What background work may do in one go before others get their turn, in ms. */
export const STEP_MS_MAX = 2;

/** After so long without a write it is looked up what the last ones have replaced, in ms. */
export const SETTLE_IDLE_MS = 20;

/**
 * At rest tables may leave so much of their segments empty: a tenth, with what does not fit at the end of
 * a segment. What is emptied for it is filled to less than four fifths, so that five make four.
 */
export const TABLE_HOLES_SHARE = 0.1;
export const SPARSE_SEGMENT_FILL = 0.8;

/** The tree is at rest when no more than so much was put in so long: in bytes, and in ms. */
export const REST_PUT_BYTES_MAX = 256 * KIB;
export const REST_MS = 1000;

/** Keys that are looked up together to settle entries or to find what is live in a segment. */
export const LOOKUPS_AT_ONCE = 128;

/** Bytes of records that reclaim moves with one group. */
export const RECLAIM_STEP_BYTES = 1 * MIB;

/** Pointers that a verification collects before it reads what they point to, in order of place. */
export const VERIFY_POINTERS_AT_ONCE = 32_768;

/** Keys that it walks between two looks at what the device holds by then; at most a segment of values as well. */
export const VERIFY_KEYS_AT_ONCE = 65_536;

/** How often a verification looks for tables that have come while it checked the others. */
export const VERIFY_TABLE_ROUNDS_MAX = 4;

/** Bytes of one read while the log is walked. */
export const WALK_WINDOW_BYTES = 4 * MIB;

/** Two values are read together when the gap between them is at most this. */
export const READ_GAP_BYTES_MAX = 64 * KIB;

/** Bytes that a scan reads ahead at most, unless one value is longer. */
export const SCAN_WINDOW_BYTES = 1 * MIB;

/** Rows that a scan takes from the index at once. */
export const SCAN_PAGE_ROWS = 256;

/** What a cached block takes beside its content. Measured: 320 of heap, 860 of resident memory in all. */
export const CACHED_BLOCK_OVERHEAD_BYTES = 860;

/** What a scan reads ahead of a table's blocks at first, and at most: it doubles from read to read. */
export const TABLE_READ_AHEAD_BYTES_MIN = 16 * KIB;
export const TABLE_READ_AHEAD_BYTES_MAX = 128 * KIB;

/** Bytes of one read of data blocks for a merge or a verify: as fast as larger ones, and bounded. */
export const TABLE_RUN_BYTES = 512 * KIB;

/** A look at many keys reads blocks together when the gap between them is at most this. */
export const STRETCH_GAP_BYTES_MAX = 16 * KIB;

/** Bytes of one such read, unless one block is longer: had from the page cache at once, into a buffer of the heap. */
export const STRETCH_BYTES_MAX = 48 * KIB;

/** Such reads that are under way at once: commits of the log wait behind them. */
export const STRETCHES_AT_ONCE = 32;

/** Keys that a flush asks for together to settle them: less than a millisecond of work. */
export const SETTLE_NAMES_AT_ONCE = 512;

/** Segments in the reservation of a claim on a device of any size. */
export const RESERVATION_SEGMENTS_MIN = 4;

/** Segments that tables are written to at once: the open one, and those with writes on their way. */
export const OPEN_TABLE_SEGMENTS_MAX = 4;

/** A device reserves one segment in so many for the next writes. */
export const RESERVATION_SHARE = 256;

/** Free segments that are discarded at once: two, or one in so many, as far as slot and patience allow. */
export const DISCARD_SEGMENTS_MIN = 2;
export const DISCARD_SHARE = 512;
export const DISCARD_SEGMENTS_MAX = 64;

/**
 * Segments that the log has in the slot at most, its open one among them, on a device of any size: the slot
 * has room for those of tables and for a batch of discards besides.
 */
export const RESERVED_SEGMENTS_MAX =
  RESERVATION_SEGMENTS_MAX - OPEN_TABLE_SEGMENTS_MAX - DISCARD_SEGMENTS_MAX;

/** Nothing is discarded while fewer segments than this are free, and no more than one in so many of them. */
export const DISCARD_FREE_MIN = 8;
export const DISCARD_FREE_SHARE = 16;

/**
 * Segments that are never counted as usable: the open ones of the log and of tables, and what must be
 * available before a put opens another, see `space.ts`.
 */
export const RESERVE_SEGMENTS_MIN = 9;

/** Part of the other segments that live data can take: what is left over keeps reclaim cheap. */
export const SEGMENT_FILL = 0.9;

/** Beat interval and lease of the claim in ms: settings of the device for the lease on the disk. */
export const BEAT_INTERVAL_MS_DEFAULT = 1000;
export const LEASE_MS_DEFAULT = 5000;

/** Notes on zombies that a manifest carries along: the newest ones that say something. */
export const ZOMBIE_NOTES_MAX = 8;

/** Fences that a manifest carries along: those of quarantined claims, and of dead ones not yet noted. */
export const FENCES_MAX = 24;

/** Keys that a note keeps as samples, and bytes of each. */
export const NOTE_KEYS_MAX = 4;
export const NOTE_KEY_BYTES_MAX = 64;

/** Segments of the log that a repair looks for manifests in: the replayed ones, and some more. */
export const REPAIR_USES_MAX = 64;

/** Keys that one repair drops (another run takes the rest), and that it lists as come back: bounds its memory. */
export const REPAIR_KEYS_MAX = 1_000_000;

/** Damages that one report lists; more are counted and not listed. */
export const DAMAGES_LISTED_MAX = 10_000;

assert(VALUE_BYTES_MAX * 2 <= SEGMENT_PAYLOAD_BYTES_MIN, 'two values fit a segment');
assert(GROUP_BYTES_MAX <= SEGMENT_PAYLOAD_BYTES_MIN, 'a group fits a segment');
assert(EAGER_BYTES <= GROUP_BYTES_MAX, 'what is formed at once is at most a group');
assert(RESERVATION_SEGMENTS_MIN <= RESERVED_SEGMENTS_MAX, 'the reservation fits its slot');
assert(RESERVATION_SEGMENTS_MIN < SEGMENT_COUNT_MIN, 'the reservation is a part of the device');
assert(FENCES_MAX >= QUARANTINED_CLAIMS_MAX, 'every quarantined claim has its fence');
assert(TABLE_READ_AHEAD_BYTES_MAX <= TABLE_RUN_BYTES, 'a scan reads less at once than a merge');
assert(LEASE_MS_DEFAULT >= 3 * BEAT_INTERVAL_MS_DEFAULT, 'a lease outlives two lost beats');
assert(
  DISCARD_SEGMENTS_MIN < RESERVE_SEGMENTS_MIN,
  'a discard that hangs leaves a part of the reserve',
);
