import type { Slot } from '@dozo/claim';
import { expect, test } from 'vitest';
import { NO_HISTORY, withNote } from './claim-history.ts';
import type { Fence, ZombieNote } from './claim-history.ts';
import { fencesOf } from './fences.ts';
import { FENCES_MAX, ZOMBIE_NOTES_MAX } from './limits.ts';

const by = { incarnation: 99, nonce: new Uint8Array(16) };
const identityOf = (incarnation: number): Fence['identity'] => ({
  incarnation,
  nonce: new Uint8Array(16).fill(incarnation),
});
const fenced = { host: 'a', podName: '', processId: 1, sinceWallMs: 0, by, fencedWallMs: 0 };

function noteOf(incarnation: number, groupCount: number): ZombieNote {
  const findings = {
    groupCount,
    recordCount: 0,
    bytes: 0,
    firstWallMs: 0,
    lastWallMs: 0,
    keys: [],
  };
  const identity = identityOf(incarnation);
  return { ...fenced, ...findings, identity, proof: 'stopped', notedWallMs: 0 };
}

function slotOf(incarnation: number, reservation: number[]): Slot {
  return {
    deviceId: new Uint8Array(16),
    identity: identityOf(incarnation),
    writeCounter: 1,
    state: 'held',
    holder: { host: 'a', bootId: 'b', processId: 1, softwareVersion: '0' },
    lockIdentity: { kind: 'none', name: '' },
    beatCounter: 1,
    beatIntervalMs: 1000,
    sinceWallMs: 0,
    lastWallMs: 0,
    reservation,
  };
}

test('of too many notes the oldest that tells of no write goes first, then the oldest', () => {
  let notes: readonly ZombieNote[] = [];
  for (let index = 1; index <= ZOMBIE_NOTES_MAX; index++) {
    notes = withNote(notes, noteOf(index, index === 3 ? 0 : 1));
  }
  notes = withNote(notes, noteOf(20, 1));
  expect(notes.map(({ identity }) => identity.incarnation)).toEqual([1, 2, 4, 5, 6, 7, 8, 20]);
  notes = withNote(notes, noteOf(21, 1));
  expect(notes.map(({ identity }) => identity.incarnation)).toEqual([2, 4, 5, 6, 7, 8, 20, 21]);
});

test('the claim that was recovered is fenced at the end of its log, of others nothing counts', () => {
  const recoverFrom = slotOf(4, [7, 8]);
  const fences = fencesOf({
    history: NO_HISTORY,
    quarantined: [slotOf(5, [9]), recoverFrom],
    recoverFrom,
    recoveredEnd: { segment: 7, ordinal: 31, end: 12_288 },
    by,
    wallMs: 5,
  });
  expect(fences).toMatchObject([
    { identity: recoverFrom.identity, ordinal: 31, end: 12_288, segments: [7, 8], by },
    { identity: identityOf(5), ordinal: 0, end: 0, segments: [9], fencedWallMs: 5 },
  ]);
});

test('a fence stays where an earlier claim has set it, whatever its claim reserves by now', () => {
  const place = { segment: 1, ordinal: 2, end: 4096, segments: [1] };
  const fence: Fence = { ...fenced, ...place, identity: identityOf(3) };
  const basis = { recoverFrom: undefined, recoveredEnd: undefined, by, wallMs: 5 };
  const history = { fences: [fence], notes: [] };
  expect(fencesOf({ ...basis, history, quarantined: [slotOf(3, [1, 2])] })).toEqual([fence]);
});

test('of too many fences those of the oldest dead claims go', () => {
  const fences = Array.from({ length: FENCES_MAX }, (_, index) => ({
    ...fenced,
    ...{ segment: 1, ordinal: 2, end: 4096, segments: [1] },
    identity: identityOf(index + 1),
  }));
  const basis = { recoverFrom: undefined, recoveredEnd: undefined, by, wallMs: 5 };
  const quarantined = [slotOf(1, [1]), slotOf(50, [2])];
  const kept = fencesOf({ ...basis, history: { fences, notes: [] }, quarantined });
  expect(kept.map(({ identity }) => identity.incarnation).slice(0, 3)).toEqual([1, 3, 4]);
  expect(kept).toHaveLength(FENCES_MAX);
});
