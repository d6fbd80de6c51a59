/** Histories that the kept reports and pictures tell. */
import type { Evidence } from '../src/forensics/evidence.ts';
import { evidenceOf, fenceOf, findingsOf, noteOf, slotOf, START_MS } from './made-evidence.ts';

const DAY_MS = 86_400_000;

/** Two daemons on two machines, and the first one wrote on. */
export function zombieCase(): Evidence {
  const first = slotOf(1, [0, 3_000]);
  const zombie = slotOf(2, [4_000, 19_500], {
    state: 'held',
    holder: { host: 'node-a.cluster.example', podName: 'osd-0-7d9f', processId: 12 },
  });
  const second = slotOf(3, [11_500, 60_000], {
    state: 'held',
    holder: { host: 'node-b', processId: 31, bootId: 'another-boot' },
    account: { quarantined: [zombie.identity], deaths: [] },
  });
  return evidenceOf({
    slots: [first, zombie, second],
    fences: [fenceOf(zombie, 3, 11_700)],
    device: { scanned: [{ identity: zombie.identity, findings: findingsOf() }] },
    moving: [second],
  });
}

/** Years of restarts, with a failed flush, a moment of two, and an old note. */
export function longCase(): Evidence {
  const slots = Array.from({ length: 400 }, (_, index) => {
    const fromMs = (index + 1) * 3 * DAY_MS;
    const toMs = fromMs + 2.5 * DAY_MS;
    const incarnation = index + 1;
    if (incarnation === 300) {
      const failedFlush = { wallMs: START_MS + fromMs + DAY_MS, cause: 'EIO' };
      return slotOf(incarnation, [fromMs, toMs], { failedFlush });
    }
    if (incarnation !== 350) return slotOf(incarnation, [fromMs, toMs]);
    return slotOf(incarnation, [fromMs, fromMs + 3 * DAY_MS + 900], { state: 'stopped' });
  });
  const forgotten = slotOf(500, [0, 0], { holder: { host: 'old-host' } });
  const identity = { incarnation: 20, nonce: new Uint8Array(16).fill(0xaa) };
  const note = noteOf(
    { ...forgotten, identity, sinceWallMs: START_MS + 60 * DAY_MS },
    21,
    63 * DAY_MS,
    {
      groupCount: 0,
      recordCount: 0,
      bytes: 0,
      firstWallMs: 0,
      lastWallMs: 0,
      keys: [],
    },
  );
  return evidenceOf({
    path: '/dev/disk/by-id/wwn-0x5000c500a1b2c3d4',
    slots,
    notes: [note],
    readWallMs: START_MS + 1210 * DAY_MS,
    gaps: [{ what: 'slot 7 of the claim ring', reason: 'both of its blocks are damaged' }],
  });
}

/** A guarded volume whose holders overlapped for ten milliseconds, with names that bite. */
export function claimFileCase(): Evidence {
  const name = 'db </text>&"\u001b[31m';
  return evidenceOf({
    path: '/volumes/<db>/.dozo-claim',
    isClaimFile: true,
    slots: [
      slotOf(1, [0, 40], { state: 'stopped', holder: { name } }),
      slotOf(2, [30, 52], { state: 'held', holder: { host: 'beta \u202eevil' } }),
    ],
  });
}

/** Two claims with one segment. */
export function damageCase(): Evidence {
  const first = slotOf(1, [0, 9_000], { state: 'held' });
  const second = slotOf(2, [8_000, 20_000], {
    state: 'held',
    account: { quarantined: [first.identity], deaths: [] },
    reservation: [10, 12],
  });
  return evidenceOf({ slots: [first, second], fences: [fenceOf(first, 2, 8_100)] });
}
