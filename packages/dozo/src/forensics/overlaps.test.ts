import type { Slot } from '@dozo/claim';
import { describe, expect, it } from 'vitest';

import {
  evidenceOf,
  fenceOf,
  findingsOf,
  noteOf,
  slotOf,
  START_MS,
} from '../../tests/made-evidence.ts';
import type { MadeEvidence, MadeSlot } from '../../tests/made-evidence.ts';
import { holderRows } from './holders.ts';
import { findOverlaps } from './overlaps.ts';
import type { Overlap } from './overlaps.ts';

const ELSEWHERE = { host: 'beta', bootId: 'another-boot' };

/** A claim that held from 0 to `toMs`, and another from 10,000 on that keeps it apart. */
function pair(toMs: number, first: MadeSlot = {}, second: MadeSlot = {}): readonly [Slot, Slot] {
  const one = slotOf(1, [0, toMs], { state: 'held', ...first });
  const account = { quarantined: [one.identity], deaths: [] };
  return [one, slotOf(2, [10_000, 60_000], { state: 'held', account, ...second })];
}

function overlapsOf(made: MadeEvidence): readonly Overlap[] {
  const evidence = evidenceOf(made);
  return findOverlaps(holderRows(evidence), evidence);
}

const signs = (made: MadeEvidence) =>
  overlapsOf(made).map(({ signs: all }) => all.map(({ kind, certainty }) => [kind, certainty]));

describe('an overlap', () => {
  it('is not there when each claimed after the last sign of the one before', () => {
    expect(overlapsOf({ slots: pair(9_000) })).toEqual([]);
    expect(overlapsOf({ slots: pair(10_000) })).toEqual([]);
  });

  it('shows in a beat after the claim of the next, by one clock on one boot', () => {
    expect(signs({ slots: pair(10_001) })).toEqual([[['beat', 'one-clock']]]);
  });

  it('is as sure as two clocks are when the beat came from another machine', () => {
    const slots = pair(10_001, {}, { holder: ELSEWHERE });
    expect(signs({ slots })).toEqual([[['beat', 'two-clocks']]]);
  });

  it('does not take two boots without an id for one', () => {
    const slots = pair(10_001, { holder: { bootId: '' } }, { holder: { bootId: '' } });
    expect(signs({ slots })).toEqual([[['beat', 'two-clocks']]]);
  });

  it('is certain without any clock when a holder says that it was fenced', () => {
    const slots = pair(5_000, { state: 'stopped' }, { holder: ELSEWHERE });
    const [overlap] = overlapsOf({ slots });
    expect(overlap).toMatchObject({
      signs: [{ kind: 'stopped', certainty: 'protocol' }],
      doClocksDisagree: true,
      fromWallMs: START_MS + 10_000,
      toWallMs: START_MS + 5_000,
    });
  });

  it('is not seen in a claimant that came second and never held the device', () => {
    const { account, checkpoint, ...wish } = slotOf(1, [0, 20_000], { state: 'stopped' });
    expect([account, checkpoint]).not.toContain(undefined);
    expect(overlapsOf({ slots: [wish, slotOf(2, [10_000, 60_000])] })).toEqual([]);
  });

  it('is certain without any clock when several groups lie past a fence', () => {
    const slots = pair(9_000, {}, { holder: ELSEWHERE });
    const [first] = slots;
    const findings = findingsOf({ groupCount: 2, lastWallMs: START_MS + 9_000 });
    const made = {
      slots,
      fences: [fenceOf(first, 2, 10_200)],
      device: { scanned: [{ identity: first.identity, findings }] },
    };
    expect(signs(made)).toEqual([[['wrote', 'protocol']]]);
  });

  it.each([
    ['one group, older than the takeover: what a process leaves that dies', 1, 9_000, false, []],
    ['one group, newer than the takeover', 1, 10_500, false, [[['wrote', 'two-clocks']]]],
    ['several groups where a flush had failed, older', 5, 9_000, true, []],
    ['no group', 0, 0, false, []],
  ])(
    'is judged by the time of the last group: %s',
    (_, groupCount, lastMs, hasFailed, expected) => {
      const failedFlush = { wallMs: START_MS + 8_000, cause: 'EIO' };
      const slots = pair(9_000, hasFailed ? { failedFlush } : {}, { holder: ELSEWHERE });
      const lastWallMs = groupCount === 0 ? 0 : START_MS + lastMs;
      const notes = [noteOf(slots[0], 2, 10_200, { groupCount, lastWallMs })];
      expect(signs({ slots, notes })).toEqual(expected);
    },
  );

  it('is certain when a lower claim is written while we look', () => {
    const slots = pair(9_000);
    expect(signs({ slots, moving: [slots[0]] })).toEqual([[['runs-now', 'protocol']]]);
    expect(signs({ slots, moving: [slots[1]] })).toEqual([]);
  });

  it('names who set the fence as the second, not who came between', () => {
    const first = slotOf(1, [0, 30_000], { state: 'held' });
    const slots = [first, slotOf(2, [8_000, 9_000]), slotOf(3, [10_000, 40_000])];
    const [overlap] = overlapsOf({ slots, notes: [noteOf(first, 3, 10_100)] });
    expect(overlap?.second.identity.incarnation).toBe(3);
  });

  it('is harmful when both were allowed to write one segment', () => {
    const slots = pair(9_000, {}, { reservation: [11, 12] });
    const [overlap] = overlapsOf({ slots, fences: [fenceOf(slots[0], 2, 10_200)] });
    expect(overlap?.sharedSegments).toEqual([11]);
  });

  it('is harmful when the log of a later claim lies in a segment that is kept apart', () => {
    const slots = pair(9_000);
    const fences = [fenceOf(slots[0], 2, 10_200)];
    const shared = (identity: Slot['identity']) =>
      overlapsOf({ slots, fences, device: { parts: [{ segment: 10, identity }] } }).map(
        ({ sharedSegments }) => sharedSegments,
      );
    expect(shared(slots[1].identity)).toEqual([[10]]);
    // Its own log in front of the fence is what it should be.
    expect(shared(slots[0].identity)).toEqual([]);
  });

  it('is not harmful when a segment is used again after the quarantine was released', () => {
    const [first] = pair(9_000);
    const second = slotOf(2, [10_000, 60_000], { state: 'held', reservation: [10, 11] });
    expect(overlapsOf({ slots: [first, second] })).toEqual([]);
  });
});
