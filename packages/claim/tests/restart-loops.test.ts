/** Processes that are killed and started again without end: the ring does not fill. */
import { expect, test } from 'vitest';
import { ALPHA, BETA, ClaimWorld, kill } from './claim-world.ts';
import type { TakeOptions } from './claim-world.ts';

/** Starts and kills so often, each start as the next of `ways` says; the most that were quarantined. */
async function killAgainAndAgain(
  world: ClaimWorld,
  ways: readonly TakeOptions[],
  count: number,
): Promise<number> {
  let quarantinedMax = 0;
  for (let start = 0; start < count; start++) {
    const process = await world.take(ways[start % ways.length]);
    quarantinedMax = Math.max(quarantinedMax, process.claim.quarantined.length);
    const checkpoint = { segment: 1, segmentOrdinal: start + 1, groupOffset: 4096 };
    await process.claim.update({ state: 'held', checkpoint, reservation: [start] });
    expect(process.claim.recoverFrom?.checkpoint?.segmentOrdinal ?? 0).toBe(start);
    kill(process);
  }
  return quarantinedMax;
}

test('on one machine, local or not, a thousand kills leave nothing in doubt', async () => {
  for (const isLocal of [true, false]) {
    const world = new ClaimWorld(`one machine ${String(isLocal)}`, 4);
    expect(await killAgainAndAgain(world, [{ settings: { isLocal } }], 1000)).toBe(0);
  }
});

test('on a local device a thousand restarts of the machine leave nothing in doubt', async () => {
  const world = new ClaimWorld('boots', 4);
  const settings = { isLocal: true };
  const boots = Array.from({ length: 1000 }, (_, boot) => ({
    on: { ...ALPHA, bootId: `boot ${String(boot)}` },
    settings,
  }));
  expect(await killAgainAndAgain(world, boots, boots.length)).toBe(0);
});

test('of two machines in turn only the last one of the other is in doubt', async () => {
  const world = new ClaimWorld('two machines', 8);
  expect(await killAgainAndAgain(world, [{ on: ALPHA }, { on: BETA }], 200)).toBeLessThanOrEqual(2);
});
