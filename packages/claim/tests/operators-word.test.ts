/** What a person's word that a process is dead is good for, and what it is not. */
import { expect, test } from 'vitest';
import { ALPHA, BETA, ClaimWorld, SETTINGS, kill } from './claim-world.ts';

test('an operator who calls a holder dead that beats is not believed', async () => {
  for (const isLocal of [false, true]) {
    const world = new ClaimWorld(`living/${String(isLocal)}`);
    const settings = { isLocal };
    const { claim: living } = await world.take({ access: 'unlocked', settings });
    await living.update({ state: 'held', reservation: [1, 2, 3] });
    await expect(
      world.take({ on: BETA, access: 'unlocked', settings, deadByWord: () => true }),
    ).rejects.toMatchObject({ code: 'CLAIM_HELD' });
    await world.clock.advance(2 * SETTINGS.leaseMs);
    expect(living.failure).toBeUndefined();
  }
});

test('who waits with an operator’s word does not use what a holder that lived had reserved', async () => {
  const world = new ClaimWorld('waits');
  const { claim: living, device } = await world.take({ access: 'unlocked' });
  await living.update({ state: 'held', reservation: [1, 2, 3] });
  const waiting = world.take({ on: BETA, access: 'unlocked', wait: true, deadByWord: () => true });
  await world.clock.advance(20_000);
  device.halt();
  const { claim } = await waiting;
  expect(claim.quarantined.map(({ reservation }) => reservation)).toEqual([[1, 2, 3]]);
  expect(claim.deaths).toEqual([]);
});

test('a word says nothing of claims that came after it', async () => {
  const world = new ClaimWorld('later');
  const dead = await world.take({ access: 'unlocked' });
  await dead.claim.update({ state: 'held' });
  kill(dead);
  const waiting = world.take({ on: BETA, access: 'unlocked', wait: true, deadByWord: () => true });
  await world.clock.advance(2000);
  const other = await world.begin({
    on: ALPHA,
    access: 'unlocked',
    switches: { skipWatch: true, skipSettle: true, skipBeats: true },
  });
  await other.claim.update({ state: 'held', reservation: [7] });
  const { claim } = await waiting;
  expect(claim.deaths).toEqual([{ identity: dead.claim.identity, proof: 'operator' }]);
  expect(claim.quarantined.map(({ reservation }) => reservation)).toEqual([[7]]);
});
