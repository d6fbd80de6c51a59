/** Taking claims, one after the other, on a simulated device. */
import { SeededRandom } from '@dozo/base';
import { SimulatedClock, SimulatedDevice, SimulatedMedium } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { describeClaim, readRing, SLOT_BYTES, takeClaim } from '../src/index.ts';
import type { Claim } from '../src/index.ts';

const clock = new SimulatedClock({ seed: 1 });
const random = new SeededRandom(1);
const deviceId = random.bytes(16);
const holder = { host: 'alpha', bootId: 'boot', processId: 12, softwareVersion: '0.1.0' };

async function take(medium: SimulatedMedium, slotCount = 4): Promise<Claim> {
  const device = new SimulatedDevice(medium, { clock, seed: random.uint32(), access: 'unlocked' });
  const place = { offset: 0, slotCount, deviceId };
  const ring = await readRing(device, place);
  return takeClaim({ device, place, ring, clock, random, holder, beatIntervalMs: 1000 });
}

async function ringOf(medium: SimulatedMedium, slotCount = 4): ReturnType<typeof readRing> {
  const device = new SimulatedDevice(medium, { clock, seed: 0, access: 'read-only' });
  return readRing(device, { offset: 0, slotCount, deviceId });
}

test('each claim has a higher incarnation, another nonce and the next slot', async () => {
  const medium = new SimulatedMedium(4 * SLOT_BYTES);
  const first = await take(medium);
  const second = await take(medium);
  expect(second.identity.incarnation).toBe(first.identity.incarnation + 1);
  expect(second.identity.nonce).not.toEqual(first.identity.nonce);
  const ring = await ringOf(medium);
  expect(ring.slots).toHaveLength(2);
  expect(ring.newest?.identity).toEqual(second.identity);
});

test('the claim that recovery starts from is never overwritten, however many fail after it', async () => {
  const medium = new SimulatedMedium(4 * SLOT_BYTES);
  const needed = await take(medium);
  const checkpoint = { segment: 3, segmentOrdinal: 9, groupOffset: 4096 };
  await needed.update({ state: 'held', checkpoint });
  for (let attempt = 0; attempt < 20; attempt++) await take(medium);
  expect((await ringOf(medium)).newestWithCheckpoint?.identity).toEqual(needed.identity);
});

test('a torn write of a slot leaves what it said before', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const medium = new SimulatedMedium(4 * SLOT_BYTES);
    const claim = await take(medium);
    await claim.update({ reservation: [1, 2, 3] });
    const writing = claim.update({ reservation: [4, 5, 6] });
    const torn = medium.crash(new SeededRandom(seed), { tearing: 'sector' });
    await writing;
    const ring = await ringOf(torn);
    expect(ring.lostSlots).toEqual([]);
    expect([
      [1, 2, 3],
      [4, 5, 6],
    ]).toContainEqual(ring.newest?.reservation);
  }
});

test('a slot with both blocks damaged keeps a claim from being taken', async () => {
  const medium = new SimulatedMedium(4 * SLOT_BYTES);
  const claim = await take(medium);
  await claim.update({ state: 'held' });
  const offset = claim.identity.incarnation * SLOT_BYTES;
  medium.corrupt(offset + 50);
  expect((await ringOf(medium)).lostSlots).toEqual([]);
  medium.corrupt(offset + 4096 + 50);
  await expect(take(medium)).rejects.toMatchObject({
    code: 'CLAIM_RING_DAMAGED',
    detail: { damagedSlots: [1] },
  });
});

test('a claim describes its holder in one line', async () => {
  const claim = await take(new SimulatedMedium(4 * SLOT_BYTES));
  expect(describeClaim(claim.slot)).toMatch(
    /^process 12 on host alpha \(dozo 0\.1\.0, claiming since 2026-01-01T00:00:00\.\d+Z, incarnation 1, nonce [0-9a-f]{8}\)$/,
  );
});
