import { describe, expect, it } from 'vitest';
import { KeyLocks } from './key-locks.ts';
import type { LockRequest } from './key-locks.ts';

const shared = (key: string): LockRequest => ({ key, exclusive: false });
const exclusive = (key: string): LockRequest => ({ key, exclusive: true });

/** Acquires and tells whether it is held yet. */
function acquire(locks: KeyLocks, requests: LockRequest[]): { held: boolean } {
  const state = { held: false };
  const waiting = locks.acquire(requests);
  if (waiting === undefined) state.held = true;
  else void waiting.then(() => (state.held = true));
  return state;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

describe('key locks', () => {
  it('grants what nobody holds at once, without a promise', () => {
    const locks = new KeyLocks();
    expect(locks.acquire([exclusive('a'), shared('b')])).toBeUndefined();
    expect(locks.acquire([shared('b'), exclusive('c')])).toBeUndefined();
  });

  it('lets an exclusive holder be alone', async () => {
    const locks = new KeyLocks();
    const first = [exclusive('a')];
    acquire(locks, first);
    const second = acquire(locks, [shared('a')]);
    await settle();
    expect(second.held).toBe(false);
    locks.release(first);
    await settle();
    expect(second.held).toBe(true);
  });

  it('does not let a stream of readers pass a waiting writer', async () => {
    const locks = new KeyLocks();
    const reader = [shared('a')];
    acquire(locks, reader);
    const writer = acquire(locks, [exclusive('a')]);
    const laterReader = acquire(locks, [shared('a')]);
    await settle();
    expect([writer.held, laterReader.held]).toEqual([false, false]);
    locks.release(reader);
    await settle();
    expect([writer.held, laterReader.held]).toEqual([true, false]);
    locks.release([exclusive('a')]);
    await settle();
    expect(laterReader.held).toBe(true);
  });

  it('grants all readers that wait behind a writer together', async () => {
    const locks = new KeyLocks();
    acquire(locks, [exclusive('a')]);
    const readers = [acquire(locks, [shared('a')]), acquire(locks, [shared('a')])];
    locks.release([exclusive('a')]);
    await settle();
    expect(readers.every((reader) => reader.held)).toBe(true);
  });

  it('ends without a deadlock and without a trace under crossing requests', async () => {
    const locks = new KeyLocks();
    const requests = [
      [exclusive('a'), exclusive('b')],
      [shared('a'), exclusive('b'), exclusive('c')],
      [exclusive('a'), shared('c')],
      [exclusive('b'), exclusive('c')],
    ];
    const running = Array.from({ length: 200 }, async (_, index) => {
      const wanted = requests[index % requests.length] ?? [];
      await locks.acquire(wanted);
      await settle();
      locks.release(wanted);
    });
    await Promise.all(running);
    expect(locks.lockedKeyCount).toBe(0);
  });
});
