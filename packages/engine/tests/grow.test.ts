/** Growing a device, and a power cut at every write of it. */
import { SeededRandom, equalBytes } from '@dozo/base';
import { PageCache, SimulatedDevice, SimulatedMedium, SimulatedProcess } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { SEGMENT_COUNT_MAX } from '../src/limits.ts';
import { grownGeometry, planGeometry } from '../src/geometry.ts';
import {
  formatDevice,
  growDevice,
  inspectDevice,
  openEngine,
  openReadOnly,
  restoreSuperblock,
} from '../src/index.ts';
import type { Growth } from '../src/index.ts';
import { encodeSuperblock } from '../src/superblock.ts';
import { HOLDER, KIB, bytes, mediumFor, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const SHAPE = { segmentPayloadBytes: 64 * KIB, ringSlotCount: 8 };
const SMALL = 16;
const LARGE = 40;
const SMALL_BYTES = mediumFor({ ...SHAPE, segmentCount: SMALL }).sizeBytes;
const LARGE_BYTES = mediumFor({ ...SHAPE, segmentCount: LARGE }).sizeBytes;

let opened = 0;

/** A handle that shows the device with another size than the medium has: the medium itself cannot grow. */
function handleOn(
  world: World,
  medium: SimulatedMedium,
  sizeBytes = medium.sizeBytes,
  options: Partial<ConstructorParameters<typeof SimulatedDevice>[1]> = {},
): SimulatedDevice {
  const seed = `${world.seed}/grow/${opened++}`;
  const device = new SimulatedDevice(medium, { clock: world.clock, seed, ...options });
  Object.defineProperty(device, 'sizeBytes', { value: sizeBytes });
  return device;
}

/** A device with one value on it that was formatted smaller than its medium is now. */
async function enlarged(world: World): Promise<SimulatedMedium> {
  const medium = new SimulatedMedium(LARGE_BYTES);
  const device = handleOn(world, medium, SMALL_BYTES);
  const { clock, random } = world;
  await formatDevice({ device, clock, random, ...SHAPE, isLocal: true });
  const engine = await openEngine({ device, clock, random, holder: HOLDER });
  await engine.apply([{ kind: 'put', key: bytes('kept'), value: bytes('through it all') }]);
  await engine.close();
  await device.close();
  return medium;
}

async function grow(world: World, device: SimulatedDevice): Promise<Growth> {
  const { clock, random } = world;
  return growDevice({ device, clock, random, holder: HOLDER });
}

async function growOn(world: World, medium: SimulatedMedium, sizeBytes?: number): Promise<Growth> {
  const device = handleOn(world, medium, sizeBytes);
  try {
    return await grow(world, device);
  } finally {
    await device.close();
  }
}

test('a device that was made larger is used whole, and keeps what it holds', async () => {
  const world = newWorld('grow');
  const run = async (): Promise<void> => {
    const medium = await enlarged(world);
    const growth = await growOn(world, medium);
    expect(growth).toMatchObject({
      isChanged: true,
      before: { segmentCount: SMALL, deviceBytes: SMALL_BYTES },
      after: { segmentCount: LARGE, deviceBytes: LARGE_BYTES },
    });
    expect(growth.wonBytes).toBeGreaterThan((LARGE - SMALL) * 50 * KIB);
    const device = handleOn(world, medium);
    const { clock, random } = world;
    const engine = await openEngine({ device, clock, random, holder: HOLDER });
    expect(engine.stats()).toMatchObject({ segmentCount: LARGE, deviceBytes: LARGE_BYTES });
    // More than the small device takes.
    const value = new SeededRandom(1).bytes(30 * KIB);
    const count = (SMALL * 64) / 30;
    for (let at = 0; at < count; at++) {
      await engine.apply([{ kind: 'put', key: bytes(`key ${String(at)}`), value }]);
    }
    await engine.close();
    const again = await openEngine({ device, clock, random, holder: HOLDER });
    expect((await again.get(bytes('kept')))?.value).toEqual(bytes('through it all'));
    expect((await again.get(bytes('key 30')))?.value).toEqual(value);
    expect((await again.verify()).damages).toEqual([]);
    await again.close();
    await device.close();
    // A claim that wrote no checkpoint must not hide the one that did.
    expect(await growOn(world, medium)).toMatchObject({ isChanged: false, wonBytes: 0 });
    const reader = handleOn(world, medium, LARGE_BYTES, { access: 'read-only' });
    expect((await inspectDevice(reader)).newestClaim).toMatchObject({ state: 'released' });
    expect((await openReadOnly(reader)).keyCount).toBeGreaterThan(count);
  };
  await world.clock.runUntil(run());
});

test('a rest that is smaller than a segment is nothing to do', async () => {
  const world = newWorld('rest');
  const run = async (): Promise<void> => {
    const medium = await enlarged(world);
    const growth = await growOn(world, medium, SMALL_BYTES + 60 * KIB);
    expect(growth).toMatchObject({ isChanged: false, wonBytes: 0 });
    expect(growth.after).toEqual(growth.before);
  };
  await world.clock.runUntil(run());
});

test('a device that shrank is refused as ever, and one that is held names its holder', async () => {
  const world = newWorld('refused');
  const run = async (): Promise<void> => {
    const medium = await enlarged(world);
    await growOn(world, medium);
    await expect(growOn(world, medium, SMALL_BYTES)).rejects.toMatchObject({
      detail: { code: 'DEVICE_CUT_SHORT' },
    });
    const { clock, random } = world;
    // By another path: the kernel's lock does not keep the two apart.
    const theirs = handleOn(world, medium, LARGE_BYTES, { access: 'unlocked' });
    const holder = { ...HOLDER, host: 'another', bootId: 'another boot' };
    const engine = await openEngine({ device: theirs, clock, random, holder });
    await expect(growOn(world, medium)).rejects.toMatchObject({ detail: { code: 'CLAIM_HELD' } });
    await engine.close();
    expect(await growOn(world, medium)).toMatchObject({ isChanged: false });
  };
  await world.clock.runUntil(run());
});

/** Where a grow that the power cut off at the start or end of each operation left its medium. */
async function cutOff(world: World): Promise<readonly SimulatedMedium[]> {
  const medium = await enlarged(world);
  const media: SimulatedMedium[] = [];
  const random = new SeededRandom('power');
  const device = handleOn(world, medium, LARGE_BYTES, {
    onOperation: ({ kind }) => {
      if (kind === 'read') return;
      for (let turn = 0; turn < 6; turn++) media.push(medium.crash(random.derive(`${turn}`)));
    },
  });
  await grow(world, device);
  await device.close();
  return media;
}

test('a power cut at any write leaves the old geometry or the new one, and grow finishes it', async () => {
  const world = newWorld('cut off');
  const seen = { old: 0, new: 0, unfinished: 0 };
  const run = async (): Promise<void> => {
    for (const medium of await cutOff(world)) {
      const { clock, random } = world;
      const device = handleOn(world, medium);
      // The block means something in its first sector alone, which no disk tears.
      expect(await restoreSuperblock(device)).toBe(false);
      const engine = await openEngine({ device, clock, random, holder: HOLDER });
      const { segmentCount } = engine.stats();
      expect([SMALL, LARGE]).toContain(segmentCount);
      const report = await engine.verify();
      expect(report.damages).toEqual([]);
      if (report.isGrowUnfinished === true) seen.unfinished++;
      if (segmentCount === SMALL) seen.old++;
      else seen.new++;
      await engine.apply([{ kind: 'put', key: bytes('after'), value: bytes('it') }]);
      await engine.close();
      const growth = await grow(world, device);
      expect(growth.isChanged).toBe(segmentCount === SMALL);
      expect(growth.after.segmentCount).toBe(LARGE);
      const again = await openEngine({ device, clock, random, holder: HOLDER });
      expect((await again.get(bytes('kept')))?.value).toEqual(bytes('through it all'));
      expect((await again.get(bytes('after')))?.value).toEqual(bytes('it'));
      expect(await again.verify()).not.toHaveProperty('isGrowUnfinished');
      await again.close();
      await device.close();
    }
  };
  await world.clock.runUntil(run());
  // Otherwise the cuts were not where they matter.
  expect(Math.min(seen.old, seen.new, seen.unfinished)).toBeGreaterThan(0);
});

test('of two valid superblocks the first counts, and a copy of another device is damage', async () => {
  const world = newWorld('two');
  const run = async (): Promise<void> => {
    const medium = await enlarged(world);
    const device = handleOn(world, medium);
    const { superblock } = await inspectDevice(device);
    const { geometry } = superblock;
    const copy = { ...superblock, geometry: grownGeometry(geometry, LARGE_BYTES) };
    await device.write(geometry.superblockCopyOffset, [encodeSuperblock(copy)]);
    const reader = await openReadOnly(device);
    expect(await reader.verify()).toMatchObject({ damages: [], isGrowUnfinished: true });
    expect((await inspectDevice(device)).superblock.geometry.segmentCount).toBe(SMALL);
    // The device was made smaller again instead: grow settles that too.
    const small = handleOn(world, medium, SMALL_BYTES, { access: 'unlocked' });
    expect(await grow(world, small)).toMatchObject({ isChanged: true, wonBytes: 0 });
    expect(await reader.verify()).not.toHaveProperty('isGrowUnfinished');
    const other = { ...superblock, deviceId: superblock.deviceId.map((byte) => byte ^ 1) };
    await device.write(geometry.superblockCopyOffset, [encodeSuperblock(other)]);
    const { damages } = await reader.verify();
    expect(damages).toMatchObject([{ offset: geometry.superblockCopyOffset }]);
    await device.close();
  };
  await world.clock.runUntil(run());
});

test('a start that waited sees what was grown and used meanwhile, whatever its cache shows', async () => {
  const world = newWorld('waited');
  const run = async (): Promise<void> => {
    const medium = await enlarged(world);
    const { clock, random } = world;
    const cache = new PageCache({ seed: 'stale', lockName: 'path-b', keepProbability: 1 });
    const late = handleOn(world, medium, LARGE_BYTES, { access: 'unlocked', cache });
    await late.read(0, new Uint8Array(4 * KIB));
    await growOn(world, medium);
    const engine = await openEngine({ device: late, clock, random, holder: HOLDER });
    expect(engine.stats().segmentCount).toBe(LARGE);
    await engine.close();
  };
  await world.clock.runUntil(run());
});

test('while one that may have been growing it is not proved dead, nobody else grows it', async () => {
  const world = newWorld('doubt');
  const run = async (): Promise<void> => {
    const { clock, random } = world;
    const medium = new SimulatedMedium(LARGE_BYTES);
    const device = handleOn(world, medium, SMALL_BYTES, { access: 'unlocked' });
    await formatDevice({ device, clock, random, ...SHAPE, beatIntervalMs: 100, leaseMs: 400 });
    const process = new SimulatedProcess(clock);
    const sleeper = handleOn(world, medium, SMALL_BYTES + 400 * KIB, {
      access: 'unlocked',
      process,
      onOperation: ({ kind, phase, offset }) => {
        // Its claim stands, and the copy is on its way.
        if (kind === 'write' && phase === 'begin' && offset > 64 * KIB + 8 * 8 * KIB - 1) {
          process.pause();
        }
      },
    });
    const holder = { ...HOLDER, host: 'sleepy', bootId: 'its boot' };
    growDevice({ device: sleeper, clock: process, random, holder }).catch(() => undefined);
    for (let turn = 0; turn < 1000 && process.state === 'running'; turn++) await clock.advance(50);
    expect(process.state).toBe('paused');
    await clock.advance(3000);
    const ours = handleOn(world, medium, LARGE_BYTES, { access: 'unlocked' });
    const refused = await grow(world, ours).catch((error: unknown) => error);
    expect(refused).toMatchObject({ detail: { code: 'HOLDERS_IN_DOUBT', claimCount: 1 } });
    expect(String(refused)).toContain('sleepy');
    const before = new Uint8Array(4 * KIB);
    await ours.readUncached(0, before);
    expect(equalBytes(before, encodeSuperblock((await inspectDevice(device)).superblock))).toBe(
      true,
    );
    // One that is served from has reserved something: it never writes a superblock.
    expect((await inspectDevice(ours)).superblock.geometry.segmentCount).toBe(SMALL);
  };
  await world.clock.runUntil(run());
});

test('no device gets more segments than the table in memory takes', () => {
  const geometry = planGeometry(8 * 1024 ** 3);
  if ('neededBytes' in geometry) throw new Error('8 GiB are enough');
  expect(grownGeometry(geometry, Number.MAX_SAFE_INTEGER).segmentCount).toBe(SEGMENT_COUNT_MAX);
});
