/** Reads of a snapshot that is closed while they are under way: they end well, or say that it is closed. */
import { SeededRandom, hasCode } from '@dozo/base';
import { SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine, Snapshot } from '../src/index.ts';
import { SMALL_TREE } from './engine-features.ts';
import { HOLDER, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const KEYS = 150;
const ROUNDS = 8;
/** Long enough to write every segment again, unless the read that hangs keeps the writers from it. */
const HANGS_MS = 600_000;

interface Opened {
  readonly world: World;
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly process: SimulatedProcess;
}

/** An engine that has all of its keys in tables, and none of these in memory. */
async function opened(seed: string, valueBytes: number): Promise<Opened> {
  const world = newWorld(seed);
  const { clock, random } = world;
  const medium = await formattedMedium(world, { segmentCount: 48 });
  const start = async (): Promise<Opened> => {
    const process = new SimulatedProcess(clock);
    const device = new SimulatedDevice(medium, { clock, seed, process });
    const options = { device, clock: process, random, holder: HOLDER, ...SMALL_TREE };
    return { world, device, process, engine: await openEngine(options) };
  };
  const { engine, device } = await start();
  await write(engine, '', valueBytes, 1);
  await engine.close();
  await device.close();
  const again = await start();
  // What the start leaves to be done is done.
  await clock.advance(20_000);
  return again;
}

async function write(
  engine: Engine,
  suffix: string,
  valueBytes: number,
  roundCount: number,
): Promise<void> {
  const random = new SeededRandom(suffix);
  for (let round = 0; round < roundCount; round++) {
    for (let index = 0; index < KEYS; index++) {
      const key = bytes(`key/${String(index).padStart(4, '0')}${suffix}`);
      await engine.apply([{ kind: 'put', key, value: random.bytes(valueBytes) }]);
    }
  }
}

/** Begins a read that hangs, closes the snapshot, and has its segments used again; what became of the read. */
async function readOver(
  { engine, device }: Opened,
  valueBytes: number,
  read: (snapshot: Snapshot) => Promise<unknown>,
): Promise<unknown> {
  const snapshot = engine.snapshot();
  // Not the first, for which the background would wait too.
  device.inject({ kind: 'read', effect: 'delay', byMs: HANGS_MS, after: 1 });
  const result = read(snapshot).catch((error: unknown) => error);
  snapshot.close();
  // Other keys between those, so that nobody else needs the block that is being waited for.
  await write(engine, '/other', valueBytes, ROUNDS);
  return result;
}

test.each([
  ['rows', 40],
  ['values', 900],
])('a scan that waited for its %s when the snapshot was closed says so', async (what, size) => {
  const at = await opened(`scan ${what}`, size);
  const run = async (): Promise<void> => {
    const error = await readOver(at, size, (snapshot) =>
      snapshot.scan({})[Symbol.asyncIterator]().next(),
    );
    expect(hasCode(error, 'SNAPSHOT_CLOSED'), String(error)).toBe(true);
    expect(at.engine.stats().checksumErrorCount).toBe(0);
    expect(at.engine.stats().staleReadCount).toBe(0);
  };
  await at.world.clock.runUntil(run());
});

test('a read that waited for the lease when the snapshot was closed is told', async () => {
  const { world, engine, process } = await opened('lease', 40);
  const { clock } = world;
  process.pause();
  await clock.advance(6000);
  const snapshot = engine.snapshot();
  process.resume();
  const got = snapshot.get(bytes('key/0001')).catch((error: unknown) => error);
  const next = snapshot.scan({})[Symbol.asyncIterator]().next();
  const scanned = next.catch((error: unknown) => error);
  snapshot.close();
  const errors = await clock.runUntil(Promise.all([got, scanned]));
  expect(errors.map((error) => hasCode(error, 'SNAPSHOT_CLOSED'))).toEqual([true, true]);
});

test('a scan that is left lying in a closed snapshot holds nothing back', async () => {
  const { world, engine } = await opened('left', 40);
  const run = async (): Promise<void> => {
    const snapshot = engine.snapshot();
    const first = await snapshot.scan({})[Symbol.asyncIterator]().next();
    expect(first).toMatchObject({ done: false, value: { key: bytes('key/0000') } });
    snapshot.close();
    await write(engine, '', 40, ROUNDS);
    expect(engine.stats().freeSegmentCount).toBeGreaterThan(4);
  };
  await world.clock.runUntil(run());
});
