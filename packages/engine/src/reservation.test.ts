import { RESERVATION_SEGMENTS_MAX } from '@dozo/claim';
import { expect, test } from 'vitest';
import { discardLengthOf } from './discarder.ts';
import {
  DISCARD_SEGMENTS_MIN,
  OPEN_TABLE_SEGMENTS_MAX,
  RESERVATION_SEGMENTS_MIN,
  SEGMENT_COUNT_MAX,
  SEGMENT_COUNT_MIN,
} from './limits.ts';
import { Reservation, reservedLengthOf } from './reservation.ts';
import { SegmentTable } from './segment-table.ts';

interface Looks {
  count: number;
  readonly waiting: (() => void)[];
  error?: Error;
  /** How often it was told that more segments may be opened. */
  confirmedCount: number;
}

/** A table of free segments, and a claim that counts how often it looks at the ring. */
function newReservation(freeCount: number): {
  readonly reservation: Reservation;
  readonly segments: SegmentTable;
  readonly looks: Looks;
} {
  const segments = new SegmentTable(freeCount);
  segments.finishRecovery(new Set(), new Set());
  const looks: Looks = { count: 0, waiting: [], confirmedCount: 0 };
  const claim = {
    confirm: (): Promise<void> => {
      looks.count++;
      return new Promise((resolve, reject) => {
        looks.waiting.push(() => {
          if (looks.error === undefined) resolve();
          else reject(looks.error);
        });
      });
    },
  };
  const onConfirmed = (): void => {
    looks.confirmedCount++;
  };
  const reservation = new Reservation({ claim, segments, switches: {}, onConfirmed });
  return { reservation, segments, looks };
}

async function look(looks: { readonly waiting: (() => void)[] }): Promise<void> {
  for (const end of looks.waiting.splice(0)) end();
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

test('what the slot has added may be opened only after a look at the ring', async () => {
  const { reservation, looks } = newReservation(40);
  expect(reservation.isDue).toBe(true);
  reservation.extend();
  expect(reservation.segments).toEqual([0, 1, 2]);
  reservation.confirm();
  expect(reservation.hasSegment).toBe(false);
  expect(reservation.isDue).toBe(false);
  expect(() => reservation.take()).toThrow('used up');
  expect(looks.confirmedCount).toBe(0);
  await look(looks);
  expect(looks.confirmedCount).toBe(1);
  expect(reservation.take()).toBe(0);
});

test('there is a look at the ring for every two segments of log, and none waits for it', async () => {
  const { reservation, segments, looks } = newReservation(400);
  reservation.extend();
  reservation.confirm();
  await look(looks);
  for (let ordinal = 1; ordinal <= 100; ordinal++) {
    expect(reservation.hasSegment).toBe(true);
    segments.open(reservation.take(), ordinal, 0);
    reservation.extend();
    reservation.confirm();
    if (looks.waiting.length > 0) await look(looks);
  }
  expect(looks.count).toBeLessThanOrEqual(51);
});

test('half of what is free stays out of it, as far as the log can go on', async () => {
  const { reservation, segments, looks } = newReservation(4);
  reservation.extend();
  reservation.confirm();
  await look(looks);
  expect(reservation.segments).toEqual([0, 1]);
  segments.open(reservation.take(), 1, 0);
  segments.open(reservation.take(), 2, 0);
  reservation.extend();
  expect(reservation.segments).toEqual([2]);
  reservation.confirm();
  await look(looks);
  segments.open(reservation.take(), 3, 0);
  reservation.extend();
  // The last one, for otherwise nothing could be written at all.
  expect(reservation.segments).toEqual([3]);
});

test('a look that shows a higher claim ends it for whoever writes next', async () => {
  const { reservation, looks } = newReservation(40);
  looks.error = new Error('fenced');
  reservation.extend();
  reservation.confirm();
  await look(looks);
  expect(reservation.hasSegment).toBe(false);
  expect(looks.confirmedCount).toBe(0);
  expect(() => {
    reservation.extend();
  }).toThrow('fenced');
});

test('a quarantined segment is never reserved, and is free when its quarantine ends', () => {
  const segments = new SegmentTable(4);
  segments.restore({ segment: 1, ordinal: 7, seed: 1, end: 8192 });
  segments.addLive(1, 500);
  segments.finishRecovery(new Set([1]), new Set([1, 2]));
  expect(segments.reserve(9)).toEqual([0, 3]);
  expect(segments).toMatchObject({ quarantinedCount: 2, quarantinedLiveBytes: 500 });
  // Emptied, it is still held back.
  segments.setNeeded(new Set());
  segments.removeLive(1, 500);
  expect(segments.reserve(9)).toEqual([]);
  segments.setQuarantined(new Set([2]));
  expect(segments.reserve(9)).toEqual([1]);
  segments.setQuarantined(new Set());
  expect(segments.reserve(9)).toEqual([2]);
});

test('what a slot reserves fits it on a device of any size, discards included', () => {
  // Every count until nothing grows any more, and some behind.
  const counts = Array.from({ length: 2 ** 18 }, (_, index) => SEGMENT_COUNT_MIN + index);
  for (let count = 2 ** 18; count <= SEGMENT_COUNT_MAX; count *= 2) counts.push(count - 1, count);
  const wrong: unknown[] = [];
  for (const count of counts) {
    const reserved = reservedLengthOf(count);
    const discarded = discardLengthOf(count);
    const inSlot = reserved + OPEN_TABLE_SEGMENTS_MAX + discarded;
    const isRight =
      inSlot <= RESERVATION_SEGMENTS_MAX &&
      reserved >= RESERVATION_SEGMENTS_MIN &&
      discarded >= DISCARD_SEGMENTS_MIN;
    if (!isRight) wrong.push({ count, reserved, discarded });
  }
  expect(wrong).toEqual([]);
});

test('a reservation is never longer than its part of the slot, however many segments are free', async () => {
  const { reservation, segments, looks } = newReservation(118_745);
  const lengthMax = reservedLengthOf(118_745) - 1;
  for (let ordinal = 1; ordinal <= 1000; ordinal++) {
    reservation.extend();
    reservation.confirm();
    expect(reservation.segments.length).toBeLessThanOrEqual(lengthMax);
    if (looks.waiting.length > 0) await look(looks);
    segments.open(reservation.take(), ordinal, 0);
  }
  expect(looks.count).toBeGreaterThan(1);
});
