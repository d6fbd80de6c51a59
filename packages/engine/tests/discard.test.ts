/** What is discarded, when, and that a zombie that discards destroys nothing that counts. */
import { SeededRandom } from '@dozo/base';
import { PageCache, SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import type { OperationEvent, SimulatedMedium } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { discardLengthOf } from '../src/discarder.ts';
import { OPEN_TABLE_SEGMENTS_MAX } from '../src/limits.ts';
import { formatDevice, inspectDevice, openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { HOLDER, KIB, bytes, formattedMedium, mediumFor, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const SHAPE = { segmentPayloadBytes: 32 * KIB, segmentCount: 40, ringSlotCount: 8 };
const STRIDE_BYTES = SHAPE.segmentPayloadBytes + 16 * KIB;
const AREA_OFFSET = 64 * KIB + SHAPE.ringSlotCount * 8 * KIB + 4 * KIB;
const TIMES = { beatIntervalMs: 100, leaseMs: 400 };
/** What a device of this size leaves to the log. */
const LEFT_COUNT = 4;

interface Opened {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  /** Segments, in the order in which their discards began. */
  readonly discarded: number[];
}

async function formatted(world: World, isLocal = true): Promise<SimulatedMedium> {
  const medium = mediumFor(SHAPE);
  const { clock, random } = world;
  const device = new SimulatedDevice(medium, { clock, seed: 'format' });
  await formatDevice({ device, clock, random, ...SHAPE, ...TIMES, isLocal });
  await device.close();
  return medium;
}

async function open(
  world: World,
  medium: SimulatedMedium,
  options: {
    readonly discard?: boolean;
    readonly onOperation?: (event: OperationEvent) => void;
    readonly isRefused?: boolean;
  } = {},
): Promise<Opened> {
  const { clock, random } = world;
  const discarded: number[] = [];
  const device = new SimulatedDevice(medium, {
    clock,
    seed: 'open',
    onOperation: (event) => {
      options.onOperation?.(event);
      if (event.kind !== 'discard' || event.phase !== 'begin') return;
      expect(event.sizeBytes).toBe(STRIDE_BYTES);
      discarded.push(segmentOf(event));
    },
  });
  if (options.isRefused === true) {
    device.discard = () => {
      discarded.push(-1);
      return Promise.resolve(false);
    };
  }
  const { discard = true } = options;
  const engine = await openEngine({ device, clock, random, holder: HOLDER, discard });
  return { engine, device, discarded };
}

function segmentOf({ offset }: OperationEvent): number {
  const segment = (offset - AREA_OFFSET) / STRIDE_BYTES;
  expect(Number.isInteger(segment)).toBe(true);
  return segment;
}

async function fill(engine: Engine, count: number, prefix = 'key'): Promise<void> {
  const value = new SeededRandom(prefix).bytes(14 * KIB);
  for (let at = 0; at < count; at++) {
    await engine.apply([{ kind: 'put', key: bytes(`${prefix} ${String(at)}`), value }]);
  }
}

async function drop(engine: Engine, count: number, prefix = 'key'): Promise<void> {
  for (let at = 0; at < count; at++) {
    await engine.apply([{ kind: 'delete', key: bytes(`${prefix} ${String(at)}`) }]);
  }
}

test('an engine that has nothing to do discards what is free, each segment once', async () => {
  const world = newWorld('idle');
  const run = async (): Promise<void> => {
    const medium = await formatted(world);
    const { engine, device, discarded } = await open(world, medium);
    await world.clock.advance(60 * TIMES.beatIntervalMs);
    expect(new Set(discarded).size).toBe(discarded.length);
    const free = engine.stats().freeSegmentCount;
    expect(discarded.length).toBeGreaterThan(free - LEFT_COUNT - 6);
    expect(engine.stats().bytesDiscarded).toBe(discarded.length * STRIDE_BYTES);
    const before = discarded.length;
    await world.clock.advance(100 * TIMES.beatIntervalMs);
    expect(discarded).toHaveLength(before);
    // What was written since is discarded again when it is free again.
    await fill(engine, 50);
    await drop(engine, 50);
    await fill(engine, 8, 'more');
    await world.clock.advance(60 * TIMES.beatIntervalMs);
    expect(discarded.length).toBeGreaterThan(before + 4);
    expect((await engine.verify()).damages).toEqual([]);
    await engine.close();
    await device.close();
    expect(device.counts().discards).toBe(discarded.length);
  };
  await world.clock.runUntil(run());
});

test('only what the durable slot reserves is ever discarded, and a batch a beat', async () => {
  const world = newWorld('reserved');
  const run = async (): Promise<void> => {
    const medium = await formatted(world);
    const seen: { readonly fork: SimulatedMedium; readonly segment: number; atMs: number }[] = [];
    const { engine } = await open(world, medium, {
      onOperation: (event) => {
        if (event.kind !== 'discard' || event.phase !== 'begin') return;
        const fork = medium.crash(new SeededRandom(1));
        seen.push({ fork, segment: segmentOf(event), atMs: world.clock.monotonicMs() });
      },
    });
    for (let round = 0; round < 6; round++) {
      await fill(engine, 20);
      await world.clock.advance(2 * TIMES.beatIntervalMs);
      await drop(engine, 20);
    }
    await engine.close();
    expect(seen.length).toBeGreaterThan(20);
    for (const { fork, segment } of seen) {
      const device = new SimulatedDevice(fork, {
        clock: world.clock,
        seed: 's',
        access: 'read-only',
      });
      const { newestClaim } = await inspectDevice(device);
      expect(newestClaim?.reservation).toContain(segment);
      const lengthMax = LEFT_COUNT + OPEN_TABLE_SEGMENTS_MAX + discardLengthOf(SHAPE.segmentCount);
      expect(newestClaim?.reservation.length).toBeLessThanOrEqual(lengthMax);
    }
    const batch = discardLengthOf(SHAPE.segmentCount);
    for (const [index, { atMs }] of seen.entries()) {
      const later = seen[index + batch];
      if (later !== undefined)
        expect(later.atMs - atMs).toBeGreaterThanOrEqual(TIMES.beatIntervalMs);
    }
  };
  await world.clock.runUntil(run());
});

test('a device of 8 TB goes on while it discards: all of its reservation fits the slot', async () => {
  const world = newWorld('8 TB');
  const run = async (): Promise<void> => {
    // Between 105,728 and 122,879 segments the parts of the reservation together once were too long.
    const shape = { ...SHAPE, segmentCount: 118_745 };
    const medium = await formattedMedium(world, shape);
    const { clock, random } = world;
    const device = new SimulatedDevice(medium, { clock, seed: 'large' });
    const engine = await openEngine({ device, clock, random, holder: HOLDER, discard: true });
    // Until the log has used half of what it reserved, and reserves more.
    for (let round = 0; round < 14; round++) {
      await fill(engine, 40);
      await clock.advance(1100);
    }
    expect(engine.stats().bytesDiscarded).toBeGreaterThan(5 * 60 * STRIDE_BYTES);
    await engine.close();
  };
  await world.clock.runUntil(run());
});

test('nothing is discarded unless it is asked for, nor when little is free', async () => {
  const world = newWorld('unasked');
  const run = async (): Promise<void> => {
    const medium = await formatted(world);
    const first = await open(world, medium, { discard: false });
    await fill(first.engine, 61);
    await world.clock.advance(30 * TIMES.beatIntervalMs);
    expect(first.discarded).toEqual([]);
    await first.engine.close();
    await first.device.close();
    const second = await open(world, medium);
    expect(second.engine.stats().freeSegmentCount).toBeLessThan(LEFT_COUNT + 8);
    await world.clock.advance(30 * TIMES.beatIntervalMs);
    expect(second.discarded).toEqual([]);
    await second.engine.close();
  };
  await world.clock.runUntil(run());
});

test('a device that takes no discards is asked once', async () => {
  const world = newWorld('refuses');
  const run = async (): Promise<void> => {
    const medium = await formatted(world);
    const { engine, discarded } = await open(world, medium, { isRefused: true });
    const free = engine.stats().freeSegmentCount;
    await world.clock.advance(30 * TIMES.beatIntervalMs);
    await fill(engine, 20);
    await drop(engine, 20);
    await world.clock.advance(30 * TIMES.beatIntervalMs);
    expect(discarded).toHaveLength(1);
    expect(engine.stats().bytesDiscarded).toBe(0);
    // What was set aside for it has come back.
    expect(engine.stats().freeSegmentCount).toBeGreaterThan(free - 20);
    await fill(engine, 55);
    await engine.close();
  };
  await world.clock.runUntil(run());
});

const [KEYS, WRITES] = [57, 160];

test('a device that hangs in a discard for ever keeps no put from being taken that fits', async () => {
  const world = newWorld('slow');
  const run = async (): Promise<void> => {
    const medium = await formatted(world);
    const { clock, random } = world;
    const device = new SimulatedDevice(medium, { clock, seed: 'slow' });
    const waiting: (() => void)[] = [];
    const hang = { isOver: false };
    device.discard = () =>
      new Promise((resolve) => {
        waiting.push(() => {
          resolve(true);
        });
        if (hang.isOver) resolve(true);
      });
    const engine = await openEngine({ device, clock, random, holder: HOLDER, discard: true });
    await world.clock.advance(TIMES.beatIntervalMs);
    expect(waiting).toHaveLength(1);
    // Nearly as much as fits, overwritten at random: reclaim needs the last free segments.
    const value = new Uint8Array(15_155);
    const fills = { count: 0, refused: 0 };
    const write = async (): Promise<void> => {
      for (let at = 0; at < WRITES; at++) {
        const key = bytes(`slow ${String(at < KEYS ? at : random.below(KEYS))}`);
        await engine.apply([{ kind: 'put', key, value }]).then(
          () => fills.count++,
          () => fills.refused++,
        );
      }
    };
    await write();
    expect(fills).toEqual({ count: WRITES, refused: 0 });
    expect(waiting).toHaveLength(1);
    hang.isOver = true;
    for (const end of waiting) end();
    await engine.close();
  };
  await world.clock.runUntil(run());
});

test('a claim is given back only when nothing is being discarded any more', async () => {
  const world = newWorld('closing');
  const run = async (): Promise<void> => {
    const medium = await formatted(world);
    let running = 0;
    let closing: Promise<void> | undefined;
    const opened: { engine?: Engine } = {};
    const { engine, device } = await open(world, medium, {
      onOperation: ({ kind, phase, offset }) => {
        if (kind === 'discard') {
          running += phase === 'begin' ? 1 : -1;
          closing ??= opened.engine?.close();
        }
        const isSlot = kind === 'write' && offset < AREA_OFFSET && phase === 'begin';
        if (isSlot && closing !== undefined) expect(running).toBe(0);
      },
    });
    opened.engine = engine;
    await world.clock.advance(10 * TIMES.beatIntervalMs);
    await closing;
    expect(closing).toBeDefined();
    const { newestClaim } = await inspectDevice(device);
    expect(newestClaim?.state).toBe('released');
    expect(running).toBe(0);
  };
  await world.clock.runUntil(run());
});

/** A holder is stopped between two discards of a batch, and goes on when its successor has filled the disk. */
async function discardsLate(seed: number, zombie: TestSwitches): Promise<number> {
  const world = newWorld(`late/${String(seed)}`);
  const { clock, random } = world;
  const run = async (): Promise<number> => {
    const medium = await formatted(world, false);
    const process = new SimulatedProcess(clock);
    let isOver = false;
    let lateCount = 0;
    const deviceA = new SimulatedDevice(medium, {
      clock,
      seed: `a/${String(seed)}`,
      process,
      cache: new PageCache({ seed: 'a', lockName: 'path-a' }),
      access: 'unlocked',
      onOperation: ({ kind, phase }) => {
        if (kind !== 'discard') return;
        if (isOver) lateCount++;
        else if (phase === 'end') process.pause();
      },
    });
    const claimSwitches = { skipBeats: true, skipLeaseCheck: true };
    await openEngine({
      device: deviceA,
      clock: process,
      random,
      holder: { ...HOLDER, host: 'alpha', bootId: 'boot of alpha' },
      discard: true,
      testSwitches: { ...zombie, claimSwitches },
      wait: true,
    });
    for (let turn = 0; turn < 100 && process.state === 'running'; turn++) await clock.advance(20);
    expect(process.state).toBe('paused');
    isOver = true;
    const deviceB = new SimulatedDevice(medium, {
      clock,
      seed: `b/${String(seed)}`,
      cache: new PageCache({ seed: 'b', lockName: 'path-b', keepProbability: 0 }),
      access: 'unlocked',
    });
    const holder = { ...HOLDER, host: 'beta', bootId: 'boot of beta' };
    const engine = await openEngine({ device: deviceB, clock, random, holder, wait: true });
    // Again and again, so that every segment has been used that may be.
    for (let round = 0; round < 3; round++) await fill(engine, 50);
    process.resume();
    await clock.advance(20 * TIMES.beatIntervalMs);
    expect(lateCount).toBeGreaterThan(0);
    // What B has written itself it would find in its page cache.
    await deviceB.dropCache();
    const { damages } = await engine.verify();
    await engine.close();
    return damages.length;
  };
  return clock.runUntil(run());
}

const SEEDS = [1, 2, 3, 4, 5];

test('a discard that comes after the takeover destroys nothing that the successor reads', async () => {
  for (const seed of SEEDS) expect(await discardsLate(seed, {})).toBe(0);
});

test('without the rule of the reservation it would', async () => {
  let damageCount = 0;
  for (const seed of SEEDS) damageCount += await discardsLate(seed, { discardUnreserved: true });
  expect(damageCount).toBeGreaterThan(0);
});
