import { SeededRandom } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import { assessRing, proofOf } from './assess.ts';
import type { Witness } from './assess.ts';
import { ringOf } from './ring.ts';
import type { Slot } from './slot.ts';

const random = new SeededRandom('assess');
const DEVICE_ID = random.bytes(16);
const LOCK = { kind: 'file', name: '8:1/12' } as const;
const MACHINE_ID = '0123456789abcdef0123456789abcdef';

function slotOf(incarnation: number, change: Partial<Slot> = {}): Slot {
  return {
    deviceId: DEVICE_ID,
    identity: { incarnation, nonce: random.bytes(16) },
    writeCounter: 3,
    state: 'held',
    holder: { host: 'alpha', bootId: 'boot', processId: 1, softwareVersion: '0.1.0' },
    lockIdentity: LOCK,
    beatCounter: 3,
    beatIntervalMs: 1000,
    sinceWallMs: 1,
    lastWallMs: 2,
    reservation: [],
    ...change,
  };
}

function ring(...slots: readonly Slot[]): ReturnType<typeof ringOf> {
  return ringOf(
    slots.map((slot, index) => ({ index, slot, validBlock: 0, blocks: ['valid', 'empty'] })),
  );
}

const WITNESS: Witness = { bootId: 'boot', lockIdentity: LOCK, isLocal: false };

describe('what proves a death', () => {
  test('the same lock on the same boot does, and nothing less', () => {
    expect(proofOf(slotOf(1), WITNESS)).toBe('kernel');
    expect(proofOf(slotOf(1), { ...WITNESS, bootId: 'other' })).toBeUndefined();
    const none = { kind: 'none', name: '' } as const;
    const unlocked = slotOf(1, { lockIdentity: none });
    expect(proofOf(unlocked, { ...WITNESS, lockIdentity: none })).toBeUndefined();
    const other = { ...WITNESS, lockIdentity: { ...LOCK, name: '8:1/13' } };
    expect(proofOf(slotOf(1), other)).toBeUndefined();
  });

  test('a boot without an id is not the same as another one, nor a later one', () => {
    const { holder } = slotOf(1);
    const nameless = slotOf(1, { holder: { ...holder, bootId: '', machineId: MACHINE_ID } });
    const local = { ...WITNESS, machineId: MACHINE_ID, isLocal: true };
    expect(proofOf(nameless, { ...local, bootId: '' })).toBeUndefined();
    expect(proofOf(nameless, local)).toBeUndefined();
    const named = slotOf(1, { holder: { ...holder, machineId: MACHINE_ID } });
    expect(proofOf(named, { ...local, bootId: '' })).toBeUndefined();
    expect(proofOf(named, { ...local, bootId: 'later' })).toBe('rebooted');
  });

  test('two machines without an id are not one machine', () => {
    const rebooted = { ...WITNESS, bootId: 'later', isLocal: true };
    expect(proofOf(slotOf(1), rebooted)).toBeUndefined();
  });
});

test('the slot of the claim whose account counts is not written again, nor that of recovery', () => {
  const checkpoint = { segment: 0, segmentOrdinal: 1, groupOffset: 4096 };
  const recovery = slotOf(1, { checkpoint });
  const accountant = slotOf(2, { account: { quarantined: [], deaths: [] } });
  const assessment = assessRing(ring(recovery, accountant, slotOf(3)), 4, WITNESS);
  expect(assessment.unproven).toEqual([]);
  expect(assessment.reusable).toEqual([3, 2]);
});
