/** Every bound of `dozo lab`, with its unit and its reason. */
import { assert } from '@dozo/base';

/** The disk of the naive store: room for a hundred times what is written to it in a minute. */
export const NAIVE_DEVICE_BYTES = 32 * 2 ** 20;

/** The disk of Dozo: claim ring, and some two hundred small segments or thirty long ones. */
export const DOZO_DEVICE_BYTES = 72 * 2 ** 20;

/** Small, so that within seconds segments are filled, reserved and used again. */
export const SEGMENT_PAYLOAD_BYTES = 256 * 1024;

/** Where a loser is to write on for seconds before it needs a new segment: some 500 records. */
export const LONG_SEGMENT_PAYLOAD_BYTES = 2 * 2 ** 20;

/** Beat and lease of the device in the lab: a fifth of the default, so that a minute is enough. */
export const BEAT_INTERVAL_MS = 200;
export const LEASE_MS = 1_000;

/** Bytes of a record in the naive store and in Dozo: one block with its heads. */
export const RECORD_BYTES = 3_600;

/** Bytes of a record in LevelDB, which is not made for large ones. */
export const LEVELDB_RECORD_BYTES = 500;

/** LevelDB's memtable in bytes: small, so that it writes tables within seconds and not minutes. */
export const LEVELDB_WRITE_BUFFER_BYTES = 64 * 1024;

/** A daemon waits so long between two records: some 200 a second, as many as can be told apart. */
export const PACE_MS = 4;

/** One put in so many changes an older record instead of adding one. */
export const REWRITE_EVERY = 4;

/** The first daemon works alone until it has acknowledged so many records. */
export const RECORDS_ALONE = 150;

/** Two daemons write side by side until the second has acknowledged so many. */
export const RECORDS_TOGETHER = 300;

/** After the first has ended the second goes on for so many more. */
export const RECORDS_AFTER = 100;

/** No step of the lab takes as long on any machine that works; then it is given up. */
export const STEP_MS_MAX = 30_000;

/** Who has lost the disk notices it within so long: more than any reservation lasts at that pace. */
export const LOSER_MS_MAX = 12_000;

/** A daemon that is told to end gets so long; then it is killed. */
export const CLOSE_MS_MAX = 10_000;

/** Of what a daemon says on its error output so much is kept, for the error that it ends up in. */
export const DAEMON_STDERR_BYTES_MAX = 16 * 1024;

/** A report of a daemon is one line; more without an end is not a report. */
export const REPORT_BYTES_MAX = 64 * 1024;

/** Lines of the story and of the table have at most so many characters. */
export const LINE_WIDTH_MAX = 100;

assert(BEAT_INTERVAL_MS * 4 <= LEASE_MS, 'a lease outlives some beats that come late');
assert(RECORD_BYTES < 4_096, 'a record and its head fit into a block of the naive store');
