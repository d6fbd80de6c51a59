import { describe, expect, test } from 'vitest';
import type { Ring } from './ring.ts';
import { ringOf } from './ring.ts';
import type { ClaimIdentity, Slot } from './slot.ts';
import { mayStop, namingOf } from './stopping.ts';

const identity = (incarnation: number): ClaimIdentity => ({
  incarnation,
  nonce: new Uint8Array(16).fill(incarnation),
});

function ringWith(...claims: { incarnation: number; names?: readonly number[] }[]): Ring {
  return ringOf(
    claims.map(({ incarnation, names }, index) => {
      const slot: Slot = {
        deviceId: new Uint8Array(16),
        identity: identity(incarnation),
        writeCounter: 1,
        state: 'claiming',
        holder: { host: '', bootId: '', processId: 1, softwareVersion: '' },
        lockIdentity: { kind: 'none', name: '' },
        beatCounter: 1,
        beatIntervalMs: 1000,
        sinceWallMs: 0,
        lastWallMs: 0,
        reservation: [],
        ...(names === undefined
          ? {}
          : { account: { quarantined: names.map(identity), deaths: [] } }),
      };
      return { index, slot, validBlock: 0, blocks: ['valid', 'empty'] };
    }),
  );
}

describe('saying that a loser has stopped', () => {
  test('needs the highest account to name it, on two looks', () => {
    const naming = namingOf(
      ringWith({ incarnation: 1 }, { incarnation: 2, names: [1] }),
      identity(1),
    );
    expect(naming.verdict).toBe('named');
    expect(mayStop(undefined, naming)).toBe(false);
    expect(mayStop(naming, naming)).toBe(true);
  });

  test('is refused while the highest claim has not accounted, whatever a lower one says', () => {
    const ring = ringWith({ incarnation: 1 }, { incarnation: 2, names: [1] }, { incarnation: 3 });
    expect(namingOf(ring, identity(1)).verdict).toBe('unknown');
  });

  test('is refused when any account leaves it out', () => {
    const ring = ringWith(
      { incarnation: 1 },
      { incarnation: 2, names: [] },
      { incarnation: 3, names: [1, 2] },
    );
    expect(namingOf(ring, identity(1)).verdict).toBe('not-named');
  });

  test('is refused when a higher claim has come between the two looks', () => {
    const earlier = namingOf(
      ringWith({ incarnation: 1 }, { incarnation: 2, names: [1] }),
      identity(1),
    );
    const later = namingOf(
      ringWith(
        { incarnation: 1 },
        { incarnation: 2, names: [1] },
        { incarnation: 3, names: [1, 2] },
      ),
      identity(1),
    );
    expect(later.verdict).toBe('named');
    expect(mayStop(earlier, later)).toBe(false);
  });

  test('is refused when nothing higher is seen', () => {
    expect(namingOf(ringWith({ incarnation: 1 }), identity(1)).verdict).toBe('unknown');
  });
});
