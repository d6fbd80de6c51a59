/** What the engine does when the device fails, lies or rots, and when another process writes it too. */
import { SeededRandom, binaryStringOf, hasCode } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { inspectDevice, openReadOnly } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const KEYS = 60;

async function fill(engine: Engine, world: World, rounds = 4): Promise<Map<string, Uint8Array>> {
  const state = new Map<string, Uint8Array>();
  for (let index = 0; index < KEYS * rounds; index++) {
    const name = `key/${String(world.random.below(KEYS))}`;
    const value = world.random.bytes(world.random.below(4000));
    await engine.apply([{ kind: 'put', key: bytes(name), value }]);
    state.set(name, value);
  }
  return state;
}

async function closedMedium(
  seed: string,
  testSwitches: TestSwitches = {},
): Promise<{ world: World; medium: SimulatedMedium; state: Map<string, Uint8Array> }> {
  const world = newWorld(seed);
  const medium = await formattedMedium(world, { segmentCount: 16, ringSlotCount: 4 });
  const { engine, device } = await openOn(world, medium, { testSwitches });
  const state = await fill(engine, world);
  await engine.close();
  await device.close();
  return { world, medium, state };
}

/** Counts keys that read as something else than what was written; damage reported is no lie. */
async function lies(engine: Engine, state: ReadonlyMap<string, Uint8Array>): Promise<number> {
  let count = 0;
  for (const name of await namesIn(engine)) if (!state.has(name)) count++;
  for (const [name, value] of state) {
    try {
      const entry = await engine.get(bytes(name));
      if (entry === undefined || Buffer.compare(entry.value, value) !== 0) count++;
    } catch (error) {
      if (!hasCode(error, 'VALUE_DAMAGED', 'INDEX_DAMAGED')) throw error;
    }
  }
  return count;
}

/** All keys that a scan shows, up to the first damage. */
async function namesIn(engine: Engine): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { key } of engine.scan({}, { values: false })) names.push(binaryStringOf(key));
  } catch (error) {
    if (!hasCode(error, 'INDEX_DAMAGED')) throw error;
  }
  return names;
}

async function rotAndRead(
  seed: string,
  testSwitches: TestSwitches,
): Promise<'refused' | 'intact' | 'lied'> {
  const { world, medium, state } = await closedMedium(seed);
  const random = new SeededRandom(`${seed}/rot`);
  const flips = 1 + random.below(4);
  for (let index = 0; index < flips; index++) {
    // Rather where something is: most of the device is zero or dead.
    const offset = random.chance(0.3) ? random.below(100 * 1024) : random.below(medium.sizeBytes);
    medium.corrupt(offset, 1 << random.below(8));
  }
  try {
    const { engine } = await openOn(world, medium, { testSwitches });
    return (await lies(engine, state)) === 0 ? 'intact' : 'lied';
  } catch (error) {
    const isTyped = hasCode(
      error,
      'SUPERBLOCK_DAMAGED',
      'DEVICE_NOT_DOZO',
      'DEVICE_CORRUPT',
      'CLAIM_RING_DAMAGED',
    );
    if (!isTyped) throw error;
    return 'refused';
  }
}

describe('bit rot', () => {
  test('flipped bits anywhere are reported, and nothing false is ever read', async () => {
    const found = { refused: 0, intact: 0, lied: 0 };
    for (let seed = 0; seed < 150; seed++) found[await rotAndRead(`rot/${String(seed)}`, {})]++;
    expect(found.lied).toBe(0);
    expect(found.refused).toBeGreaterThan(0);
    expect(found.intact).toBeGreaterThan(0);
  });

  test('the rot test notices when reads are not checked', async () => {
    let lieCount = 0;
    for (let seed = 0; seed < 60 && lieCount === 0; seed++) {
      const result = await rotAndRead(`rot/${String(seed)}`, { skipReadChecks: true });
      if (result === 'lied') lieCount++;
    }
    expect(lieCount).toBeGreaterThan(0);
  });

  test('a damaged value is refused by get, and listed by verify with its key', async () => {
    const { world, medium, state } = await closedMedium('value rot');
    const first = await openOn(world, medium);
    const { damages: none } = await first.engine.verify();
    expect(none).toEqual([]);
    // One that was never moved: of others there are copies that nobody reads any more.
    const [name, value] = [...state].find(
      ([, candidate]) => candidate.length > 1000 && placesOf(medium, candidate).length === 1,
    ) ?? ['', bytes('')];
    expect(name).not.toBe('');
    const at = findBytes(medium, value.subarray(0, 64));
    medium.corrupt(at + 10);
    await expect(first.engine.get(bytes(name))).rejects.toMatchObject({ code: 'VALUE_DAMAGED' });
    const report = await first.engine.verify();
    expect(report.damages).toHaveLength(1);
    expect(report.damages[0]?.key).toEqual(bytes(name));
    expect(first.engine.stats().checksumErrorCount).toBe(1);
    // Another write of the key heals it.
    await first.engine.apply([{ kind: 'put', key: bytes(name), value }]);
    expect((await first.engine.get(bytes(name)))?.value).toEqual(value);
  });

  test('a damaged value in the last group before a clean close costs that value alone', async () => {
    const world = newWorld('rot at the end');
    // Segments so large that closing writes no index snapshot behind the last group.
    const medium = await formattedMedium(world, {
      segmentCount: 16,
      segmentPayloadBytes: 256 * 1024,
    });
    const first = await openOn(world, medium);
    await first.engine.apply([{ kind: 'put', key: bytes('before'), value: bytes('intact') }]);
    const value = world.random.bytes(3000);
    await first.engine.apply([{ kind: 'put', key: bytes('last'), value }]);
    await first.engine.close();
    await first.device.close();
    medium.corrupt(findBytes(medium, value.subarray(0, 64)) + 5);
    const { engine } = await openOn(world, medium);
    expect((await engine.get(bytes('before')))?.value).toEqual(bytes('intact'));
    await expect(engine.get(bytes('last'))).rejects.toMatchObject({ code: 'VALUE_DAMAGED' });
    const { damages } = await engine.verify();
    expect(damages.map(({ key }) => key)).toEqual([bytes('last')]);
  });

  test.each(['header', 'manifest'] as const)(
    'verify lists a damaged %s that the next start would need',
    async (what) => {
      const world = newWorld(`verify ${what}`);
      const medium = await formattedMedium(world);
      const { engine } = await openOn(world, medium);
      await fill(engine, world);
      expect((await engine.verify()).damages).toEqual([]);
      const reader = new SimulatedDevice(medium, {
        clock: world.clock,
        seed: 4,
        access: 'read-only',
      });
      const { newestClaim, superblock } = await inspectDevice(reader);
      const { segment, groupOffset } = newestClaim?.checkpoint ?? { segment: 0, groupOffset: 0 };
      const { segmentAreaOffset, segmentStrideBytes } = superblock.geometry;
      const start = segmentAreaOffset + segment * segmentStrideBytes;
      // Past the heads of the group and of the record: in the manifest's value.
      medium.corrupt(what === 'header' ? start + 20 : groupOffset + 64 + 24 + 10);
      const { damages } = await engine.verify();
      expect(damages.map(({ reason }) => reason)).toEqual([expect.stringContaining(what)]);
    },
  );

  test('a segment with a damaged live record is never used again', async () => {
    const world = newWorld('damaged segment');
    const medium = await formattedMedium(world, { segmentCount: 16 });
    const { engine } = await openOn(world, medium);
    const value = world.random.bytes(3000);
    await engine.apply([{ kind: 'put', key: bytes('victim'), value }]);
    medium.corrupt(findBytes(medium, value.subarray(0, 64)) + 5);
    for (let index = 0; index < 1200; index++) {
      const key = bytes(`key/${String(world.random.below(150))}`);
      await engine.apply([{ kind: 'put', key, value: world.random.bytes(2000) }]);
    }
    expect(engine.stats().bytesMoved).toBeGreaterThan(0);
    await expect(engine.get(bytes('victim'))).rejects.toMatchObject({ code: 'VALUE_DAMAGED' });
    const { damages } = await engine.verify();
    expect(damages.map(({ key }) => key)).toEqual([bytes('victim')]);
  });

  test('rot in the newest block of the holder’s slot loses nothing', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const world = newWorld(`slot rot ${String(seed)}`);
      const medium = await formattedMedium(world, { segmentCount: 16, ringSlotCount: 4 });
      const { engine, device } = await openOn(world, medium);
      const state = await fill(engine, world, 1 + seed);
      device.halt();
      const after = medium.crash(new SeededRandom(seed), { kind: 'process' });
      const reader = new SimulatedDevice(after, {
        clock: world.clock,
        seed,
        access: 'read-only',
      });
      const { newestClaim, superblock } = await inspectDevice(reader);
      const slotOffset =
        superblock.geometry.ringOffset + ((newestClaim?.identity.incarnation ?? 0) % 4) * 8192;
      const writes = newestClaim?.writeCounter ?? 0;
      // Writes alternate, and the first one goes to block 0 of a slot that was never used.
      after.corrupt(slotOffset + (writes % 2 === 1 ? 0 : 4096) + 100);
      const again = await openOn(world, after);
      expect(await lies(again.engine, state)).toBe(0);
      expect((await again.engine.verify()).damages).toEqual([]);
    }
  });
});

describe('a device that fails', () => {
  test.each(['write', 'flush'] as const)(
    'a failed %s ends the engine, is noted, and the next start verifies and loses nothing',
    async (kind) => {
      for (let after = 0; after < 12; after++) {
        const world = newWorld(`fail ${kind} ${String(after)}`);
        const medium = await formattedMedium(world, { segmentCount: 16, ringSlotCount: 4 });
        const { engine, device } = await openOn(world, medium);
        const state = await fill(engine, world, 1);
        device.inject({ kind, after, effect: 'fail' });
        const last = await engine
          .apply([{ kind: 'put', key: bytes('more'), value: bytes('x') }])
          .then(
            () => 'acknowledged',
            (error: unknown) => error,
          );
        if (last === 'acknowledged') state.set('more', bytes('x'));
        for (let index = 0; index < 20; index++) {
          const value = world.random.bytes(4000);
          try {
            await engine.apply([{ kind: 'put', key: bytes('more'), value }]);
            state.set('more', value);
          } catch (error) {
            expect(hasCode(error, 'ENGINE_FAILED')).toBe(true);
          }
        }
        expect(engine.stats().state).toBe('failed');
        await expect(engine.get(bytes('more'))).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
        await engine.close();
        await device.close();
        // The page cache still shows what the failed flush lost; a power cut takes it.
        const reader = new SimulatedDevice(medium, {
          clock: world.clock,
          seed: 1,
          access: 'read-only',
        });
        expect((await inspectDevice(reader)).newestClaim?.failedFlush?.cause).toContain('EIO');
        const second = await openOn(world, medium);
        expect(await lies(second.engine, state)).toBe(0);
        await second.engine.apply([{ kind: 'put', key: bytes('then'), value: bytes('y') }]);
        second.device.halt();
        const third = await openOn(world, medium.crash(new SeededRandom(after)));
        state.set('then', bytes('y'));
        expect(await lies(third.engine, state)).toBe(0);
      }
    },
  );

  test('after a failed flush, damage that verify finds keeps the device from opening', async () => {
    const world = newWorld('repair');
    const medium = await formattedMedium(world, { segmentCount: 16 });
    const { engine, device } = await openOn(world, medium);
    const value = world.random.bytes(3000);
    await engine.apply([{ kind: 'put', key: bytes('victim'), value }]);
    await fill(engine, world, 2);
    device.inject({ kind: 'flush', after: 0, effect: 'fail' });
    await expect(engine.apply([{ kind: 'delete', key: bytes('x') }])).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
    });
    await engine.close();
    await device.close();
    medium.corrupt(findBytes(medium, value.subarray(0, 64)) + 5);
    await expect(openOn(world, medium)).rejects.toMatchObject({
      code: 'DEVICE_NEEDS_REPAIR',
      detail: { damageCount: 1 },
    });
    const reader = new SimulatedDevice(medium, {
      clock: world.clock,
      seed: 2,
      access: 'read-only',
    });
    const readOnly = await openReadOnly(reader);
    expect((await readOnly.verify()).damages).toHaveLength(1);
    await readOnly.close();
    await expect(readOnly.get(bytes('x'))).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });
});

test('a slot that cannot be written ends the engine as a failure of the device, and is noted', async () => {
  const world = newWorld('slot write fails');
  const medium = await formattedMedium(world, { segmentCount: 16, ringSlotCount: 4 });
  const { engine, device } = await openOn(world, medium);
  await engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('b') }]);
  // Nothing but the next beat writes now.
  device.inject({ kind: 'write', after: 0, effect: 'fail' });
  await world.clock.advance(2000);
  await expect(engine.ended).resolves.toMatchObject({
    kind: 'failed',
    error: { code: 'ENGINE_FAILED' },
  });
  expect(engine.stats().state).toBe('failed');
  await engine.close();
  await device.close();
  const reader = new SimulatedDevice(medium, { clock: world.clock, seed: 6, access: 'read-only' });
  const { newestClaim } = await inspectDevice(reader);
  expect(newestClaim).toMatchObject({ state: 'held', failedFlush: {} });
  const again = await openOn(world, medium);
  expect((await again.engine.get(bytes('a')))?.value).toEqual(bytes('b'));
});

describe('a second writer', () => {
  /** Who has every lock and every look at a clock switched off. */
  const BLIND = { skipWatch: true, skipSettle: true, skipBeats: true, skipLeaseCheck: true };

  async function zombie(switches: TestSwitches): Promise<'unseen' | 'seen'> {
    const testSwitches = { ...switches, claimSwitches: BLIND };
    const world = newWorld('zombie');
    const medium = await formattedMedium(world, { segmentCount: 24 });
    const old = await openOn(world, medium, { access: 'unlocked', testSwitches });
    await old.engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('before') }]);
    const young = await openOn(world, medium, { access: 'unlocked', testSwitches });
    // The old one does not know yet, and is told that its writes are durable.
    await old.engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('zombie') }]);
    await young.engine.apply([{ kind: 'put', key: bytes('b'), value: bytes('young') }]);
    young.device.halt();
    old.device.halt();
    const after = medium.crash(new SeededRandom(1), { kind: 'process' });
    const third = await openOn(world, after, { testSwitches });
    expect((await third.engine.get(bytes('b')))?.value).toEqual(bytes('young'));
    const entry = await third.engine.get(bytes('a'));
    return Buffer.compare(entry?.value ?? bytes(''), bytes('before')) === 0 ? 'unseen' : 'seen';
  }

  test('what a process writes after the fence of its successor is never read', async () => {
    expect(await zombie({})).toBe('unseen');
  });

  test('without the exact ends of the fence it would be', async () => {
    expect(await zombie({ ignoreFence: true })).toBe('seen');
  });

  test('is refused by the lock, and can be told who holds the device', async () => {
    const world = newWorld('refused');
    const medium = await formattedMedium(world);
    await openOn(world, medium);
    await expect(openOn(world, medium)).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    const reader = new SimulatedDevice(medium, {
      clock: world.clock,
      seed: 3,
      access: 'read-only',
    });
    const { newestClaim } = await inspectDevice(reader);
    expect(newestClaim).toMatchObject({ state: 'held', holder: { host: 'test-host' } });
  });
});

/** Everywhere on the disk where these bytes stand. */
function placesOf(medium: SimulatedMedium, wanted: Uint8Array): number[] {
  const peeked = medium.peek(0, medium.sizeBytes);
  const all = Buffer.from(peeked.buffer, peeked.byteOffset, peeked.length);
  const places: number[] = [];
  for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + 1)) places.push(at);
  return places;
}

/** The only place where these bytes stand: were there two, one of them could be a copy that is dead. */
function findBytes(medium: SimulatedMedium, wanted: Uint8Array): number {
  const places = placesOf(medium, wanted);
  expect(places).toHaveLength(1);
  return places[0] ?? 0;
}
