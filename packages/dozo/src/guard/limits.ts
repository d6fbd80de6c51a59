/** Every bound of `dozo guard`, with its unit and its reason. */
import { assert } from '@dozo/base';

/** A beat that was not renewed for this part of the lease: the program is asked to end (SIGTERM). */
export const TERMINATE_LEASE_FRACTION = 0.5;

/** So long before its end, as a part of the lease, all processes are killed: time for them to be gone. */
export const KILL_MARGIN_LEASE_FRACTION = 0.2;

/**
 * So long before its end, as a part of the lease, the guard kills by itself: whoever watches the
 * program should have done so before, and is stopped or gone.
 */
export const LAST_RESORT_LEASE_FRACTION = 0.1;

/**
 * Wall time that has run ahead by more, as a part of the lease, puts the lease in doubt: what the claim
 * itself lets pass, and what its watchers add (`wallAheadMsMax` of the claim).
 */
export const WALL_AHEAD_LEASE_FRACTION = 0.05;

/**
 * The lease is looked at when a stage begins, and at least so often, as a part of it: timers do not count
 * the time of a suspend, so that is what a wake-up can be late by.
 */
export const LEASE_CHECK_FRACTION = 0.05;

/** ... and at least so many ms apart. A look costs about 0.2 ms of CPU in each of the two processes. */
export const LEASE_CHECK_MS_MIN = 10;

/** What the program left behind gets so long to end after SIGTERM. Kubernetes gives 30 s in all. */
export const LEFTOVER_GRACE_MS = 10_000;

/** Between two rounds of killing. Each round finds what was forked during the one before. */
export const KILL_ROUND_MS = 10;
/** Processes that outlive SIGKILL wait for a disk: after {@link KILL_FAST_ROUNDS}, so often. */
export const KILL_SLOW_ROUND_MS = 500;
export const KILL_FAST_ROUNDS = 200;

/** Giving the claim back takes at most so long; a disk that hangs must not hide how it ended. */
export const GIVE_BACK_MS_MAX = 3_000;

/** A watcher that was told to kill gets so long before the guard does it itself. */
export const KILL_BACKUP_MS = 250;

/** While waiting, one line about the same holder at most so often. */
export const WAIT_REPORT_MS = 30_000;

/** Longest line between the guard and its watcher, in UTF-16 units; ours have under 200. */
export const CHANNEL_LINE_LENGTH_MAX = 4096;

/**
 * The lowest number that the locked descriptor has in the program: shells use those up to 19 and
 * 255, service managers those from 3 on.
 */
export const PROGRAM_DESCRIPTOR_MIN = 100;

/** Beat and lease of a claim file that the guard makes, in ms. */
export const BEAT_MS_DEFAULT = 1_000;
export const LEASE_MS_DEFAULT = 5_000;

/** Longest name that a slot keeps, in UTF-8 bytes (`HOLDER_TEXT_BYTES_MAX` of the claim). */
export const NAME_BYTES_MAX = 128;

/** A claim file is looked for under its path so often at most, in ms; otherwise at each beat. */
export const PATH_CHECK_MS_MIN = 250;

/** Predecessors without proof of death that stay in the account, of the 12 that it can name. */
export const UNPROVEN_KEPT_MAX = 8;

assert(
  LAST_RESORT_LEASE_FRACTION < KILL_MARGIN_LEASE_FRACTION &&
    KILL_MARGIN_LEASE_FRACTION < 1 - TERMINATE_LEASE_FRACTION,
  'asking comes before killing, and killing before the last resort',
);
assert(
  LEASE_CHECK_FRACTION < KILL_MARGIN_LEASE_FRACTION - LAST_RESORT_LEASE_FRACTION,
  'the watcher has looked at the lease before the guard loses patience',
);
