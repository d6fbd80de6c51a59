/** Evidence made by hand, for tests of what is concluded from it. */
import type { ClaimIdentity, Slot } from '@dozo/claim';
import { ringOf } from '@dozo/claim';
import type { Fence, ZombieFindings, ZombieNote } from '@dozo/engine';

import type { Evidence } from '../src/forensics/evidence.ts';

/** 2026-11-22 18:00:00 UTC. */
export const START_MS = Date.UTC(2026, 10, 22, 18);

export interface MadeSlot extends Partial<Omit<Slot, 'holder' | 'identity'>> {
  readonly holder?: Partial<Slot['holder']>;
}

export function identityOf(incarnation: number): ClaimIdentity {
  return { incarnation, nonce: new Uint8Array(16).fill(incarnation) };
}

/** A claim that was held from `fromMs` to `toMs`, counted from {@link START_MS}. */
export function slotOf(
  incarnation: number,
  [fromMs, toMs]: readonly [number, number],
  made: MadeSlot = {},
): Slot {
  const { holder, ...rest } = made;
  return {
    deviceId: new Uint8Array(16).fill(0xd0),
    identity: identityOf(incarnation),
    writeCounter: 10,
    state: 'released',
    holder: {
      host: 'alpha',
      bootId: 'b0075e1f-1111',
      processId: 100 + incarnation,
      softwareVersion: '0.1.0',
      ...holder,
    },
    lockIdentity: { kind: 'block', name: '7:0' },
    beatCounter: 10,
    beatIntervalMs: 1000,
    sinceWallMs: START_MS + fromMs,
    lastWallMs: START_MS + toMs,
    checkpoint: { segment: 1, segmentOrdinal: incarnation, groupOffset: 4096 },
    account: { quarantined: [], deaths: [] },
    reservation: [10 * incarnation, 10 * incarnation + 1],
    ...rest,
  };
}

export function findingsOf(made: Partial<ZombieFindings> = {}): ZombieFindings {
  return {
    groupCount: 107,
    recordCount: 214,
    bytes: 876_544,
    firstWallMs: START_MS + 12_000,
    lastWallMs: START_MS + 19_000,
    keys: [new TextEncoder().encode('a key')],
    ...made,
  };
}

/** What a fence and a note say of a claim alike. */
function fencedOf(slot: Slot, by: number, fencedMs: number) {
  const { host, podName = '', processId } = slot.holder;
  const { identity, sinceWallMs } = slot;
  const fencedWallMs = START_MS + fencedMs;
  return { identity, host, podName, processId, sinceWallMs, by: identityOf(by), fencedWallMs };
}

export function fenceOf(slot: Slot, by: number, fencedMs: number): Fence {
  const place = { segment: 3, ordinal: 3, end: 8192 };
  return { ...fencedOf(slot, by, fencedMs), ...place, segments: slot.reservation };
}

export function noteOf(
  slot: Slot,
  by: number,
  fencedMs: number,
  findings: Partial<ZombieFindings> = {},
): ZombieNote {
  const notedWallMs = START_MS + fencedMs + 1000;
  return {
    ...fencedOf(slot, by, fencedMs),
    ...findingsOf(findings),
    proof: 'operator',
    notedWallMs,
  };
}

export interface MadeEvidence extends Partial<Omit<Evidence, 'ring' | 'device'>> {
  readonly slots: readonly Slot[];
  readonly fences?: readonly Fence[];
  readonly notes?: readonly ZombieNote[];
  readonly device?: Partial<Evidence['device']>;
  /** No device, but a claim file. */
  readonly isClaimFile?: boolean;
}

export function evidenceOf(made: MadeEvidence): Evidence {
  const { slots, fences = [], notes = [], device, isClaimFile = false, ...rest } = made;
  const ring = ringOf(
    slots.map((slot, index) => ({ index, slot, validBlock: 0, blocks: ['valid', 'empty'] })),
  );
  return {
    path: '/dev/sdb',
    id: new Uint8Array(16).fill(0xd0),
    sizeBytes: 2 ** 30,
    createdWallMs: START_MS - 86_400_000,
    settings: { beatIntervalMs: 1000, leaseMs: 5000, isLocal: false },
    readWallMs: START_MS + 3_600_000,
    slotCount: 1024,
    ring,
    moving: [],
    gaps: [],
    ...(isClaimFile
      ? {}
      : {
          device: {
            segmentCount: 64,
            segmentBytes: 16 * 2 ** 20,
            history: { fences, notes },
            parts: [],
            scanned: [],
            ...device,
          },
        }),
    ...rest,
  };
}
