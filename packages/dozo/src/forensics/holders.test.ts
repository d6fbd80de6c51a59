import { describe, expect, it } from 'vitest';

import { evidenceOf, fenceOf, identityOf, noteOf, slotOf } from '../../tests/made-evidence.ts';
import { holderRows } from './holders.ts';

describe('the timeline of holders', () => {
  it('is in the order of the claims, whatever their clocks say', () => {
    const rows = holderRows(
      evidenceOf({ slots: [slotOf(3, [0, 1]), slotOf(1, [9000, 9001]), slotOf(2, [500, 600])] }),
    );
    expect(rows.map(({ identity }) => identity.incarnation)).toEqual([1, 2, 3]);
  });

  it('says of each holder what became of it, and how that is known', () => {
    const newest = slotOf(6, [60, 70], {
      state: 'held',
      account: {
        quarantined: [identityOf(4)],
        deaths: [{ identity: identityOf(3), proof: 'kernel' }],
      },
    });
    const slots = [
      slotOf(1, [0, 10], { state: 'held' }),
      slotOf(2, [10, 20], { state: 'stopped' }),
      slotOf(3, [20, 30], { state: 'held' }),
      slotOf(4, [30, 40], { state: 'held' }),
      slotOf(5, [40, 50]),
      newest,
    ];
    expect(holderRows(evidenceOf({ slots })).map(({ end }) => end)).toEqual([
      { kind: 'dead', proof: 'unknown', by: newest.identity },
      { kind: 'stopped' },
      { kind: 'dead', proof: 'kernel', by: newest.identity },
      { kind: 'unproven' },
      { kind: 'released' },
      { kind: 'newest' },
    ]);
  });

  it('keeps those apart that the newest account names, with their segments', () => {
    const first = slotOf(1, [0, 10], { state: 'held' });
    const second = slotOf(2, [20, 30], {
      state: 'held',
      account: { quarantined: [first.identity], deaths: [] },
    });
    const [row] = holderRows(evidenceOf({ slots: [first, second] }));
    expect(row?.quarantined).toEqual([10, 11]);
  });

  it('remembers by fences and notes whose slots have been used again', () => {
    const forgotten = slotOf(1, [0, 10], { holder: { podName: 'osd-0' } });
    const fenced = slotOf(2, [20, 30]);
    const newest = slotOf(3, [40, 50], {
      account: { quarantined: [fenced.identity], deaths: [] },
    });
    const rows = holderRows(
      evidenceOf({
        slots: [newest],
        notes: [noteOf(forgotten, 2, 12)],
        fences: [fenceOf(fenced, 3, 41)],
      }),
    );
    expect(rows).toMatchObject([
      {
        identity: forgotten.identity,
        holder: { host: 'alpha', processId: 101, podName: 'osd-0' },
        end: { kind: 'dead', proof: 'operator' },
        late: { source: 'note', recordCount: 214 },
      },
      { identity: fenced.identity, end: { kind: 'unproven' }, quarantined: [20, 21] },
      { identity: newest.identity },
    ]);
    expect(rows[0]).not.toHaveProperty('state');
  });

  it('tells one that never got further than to the wish from one that held the device', () => {
    const { account, checkpoint, ...wish } = slotOf(1, [0, 10], { state: 'stopped' });
    expect(account).toBeDefined();
    expect(checkpoint).toBeDefined();
    const rows = holderRows(evidenceOf({ slots: [wish, slotOf(2, [0, 20])] }));
    expect(rows.map(({ hasHeld }) => hasHeld)).toEqual([false, true]);
  });
});
