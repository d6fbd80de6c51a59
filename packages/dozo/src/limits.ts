/** Every bound of the command line, with its unit and its reason. */
import { assert } from '@dozo/base';

/** A stop waits so long for running requests: under Kubernetes' grace of 30 s, with room to close. */
export const REQUEST_GRACE_MS = 20_000;

/** A clean stop takes at most so long in all; then the process ends without its checkpoint. */
export const STOP_MS_MAX = 27_000;

/**
 * A signal so shortly after the first one is the same request: a terminal sends Ctrl-C to the whole
 * group of processes, and npm passes its own copy on to us.
 */
export const SIGNAL_REPEAT_MS = 500;

/** What was opened gets so long to close after a failure before the process ends. */
export const FAILED_CLOSE_MS = 3_000;

/** Who waits for a device tries the kernel's lock at this interval ... */
export const LOCK_RETRY_MS = 500;

/** ... and says again whom it waits for at most this often. */
export const WAIT_REPORT_MS = 30_000;

/** Default size of a device file: the smaller of this and {@link DEFAULT_FREE_FRACTION} of the disk. */
export const DEFAULT_DEVICE_BYTES = 20 * 2 ** 30;

/** A default must not eat a disk that somebody else needs. */
export const DEFAULT_FREE_FRACTION = 0.1;

/** The smallest device file that is chosen by default: room for the claim area and for use. */
export const DEVICE_FILE_BYTES_MIN = 256 * 2 ** 20;

/** Memory for blocks of the index, unless told otherwise: as much as the engine takes by itself. */
export const CACHE_BYTES_DEFAULT = 64 * 2 ** 20;

/** ... and the least that may be asked for: with less, not even the filters of a small tree stay. */
export const CACHE_BYTES_MIN = 2 ** 20;

/** Device files are made in whole MiB. */
export const DEVICE_FILE_STEP_BYTES = 2 ** 20;

/** A credentials file is a few hundred bytes; what is larger is something else. */
export const CREDENTIALS_FILE_BYTES_MAX = 16 * 1024;

/** Length of a secret in `DOZO_SECRET_ACCESS_KEY`, in characters; AWS makes 40. */
export const SECRET_LENGTH_MIN = 8;
export const SECRET_LENGTH_MAX = 128;

/** Length of `DOZO_ACCESS_KEY_ID`, in characters; AWS makes 20. */
export const ACCESS_KEY_ID_LENGTH_MIN = 3;
export const ACCESS_KEY_ID_LENGTH_MAX = 128;

/** Open connections to the health port: probes and people, nobody else. */
export const HEALTH_CONNECTIONS_MAX = 64;

/** A probe that has not sent its request by then is cut off. */
export const HEALTH_REQUEST_MS = 5_000;

/** `dozo status` waits so long for a daemon to answer. */
export const STATUS_REQUEST_MS = 3_000;

/** An answer of `/status` is a few KiB; what is longer is not ours. */
export const STATUS_BYTES_MAX = 1024 * 1024;

/** Before formatting, a device up to this size is read whole ... */
export const BLANK_CHECK_WHOLE_BYTES = 256 * 2 ** 20;

/** ... and of a larger one its head and its tail (where partition tables and RAID labels lie) ... */
export const BLANK_CHECK_EDGE_BYTES = 16 * 2 ** 20;

/** ... and so many samples between, evenly spread, of so many bytes each. */
export const BLANK_CHECK_SAMPLES = 512;
export const BLANK_CHECK_SAMPLE_BYTES = 64 * 1024;

/** How much of a list of damaged places is printed; the JSON form has all of them. */
export const DAMAGES_PRINTED_MAX = 100;

/** Segments that a dump lists; of a larger device the rest is left out, and `--segment` shows each. */
export const DUMPED_SEGMENTS_MAX = 65_536;

/** Tables of the tree that a dump lists unless `--tables` says otherwise: some MiB of text. */
export const DUMPED_TABLES_MAX = 10_000;

/** Forensics watches the ring for so many beats, to see who lives, within these bounds. */
export const FORENSIC_BEATS_WATCHED = 2.5;
export const FORENSIC_WATCH_MS_MIN = 500;
export const FORENSIC_WATCH_MS_MAX = 5_000;

/** Before a word that somebody is dead is believed, signs of life are watched for so long at least. */
export const LIFE_WATCH_MS_MIN = 1_000;

/** How often the release of a quarantine looks whether everything has been looked at. */
export const RELEASE_STEP_MS = 20;

/** ... and how long at most: twelve full reservations of a slow disk. */
export const RELEASE_MS_MAX = 3_600_000;

/** A manifest that moves away while it is looked for is looked for so many times. */
export const MANIFEST_TRIES_MAX = 5;

/** Holders that the text of a timeline tells one by one, about; the JSON form has all of them. */
export const HOLDERS_PRINTED_MAX = 40;

/** Lanes of a picture of a timeline, about: it should fit on a screen or a page. */
export const PICTURE_LANES_MAX = 24;

/** Overlaps that a picture shows again from near. */
export const PICTURE_CLOSE_UPS_MAX = 3;

assert(REQUEST_GRACE_MS < STOP_MS_MAX, 'closing the engine needs time after the last request');
assert(STOP_MS_MAX < 30_000, 'Kubernetes kills after 30 s');
assert(
  2 * BLANK_CHECK_EDGE_BYTES + BLANK_CHECK_SAMPLES * BLANK_CHECK_SAMPLE_BYTES <=
    BLANK_CHECK_WHOLE_BYTES,
  'the samples of a large device fit into one',
);
