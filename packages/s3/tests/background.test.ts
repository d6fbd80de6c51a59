import { describe, expect, it } from 'vitest';
import { Background } from '../src/gateway/background.ts';
import type { Logger } from '../src/gateway/logger.ts';
import { checkStore } from './store-checker.ts';
import { putObject, World } from './store-world.ts';

interface Told {
  readonly level: string;
  readonly message: string;
}

function newLogger(told: Told[]): Logger {
  const tell = (level: string) => (_: Readonly<Record<string, unknown>>, message: string) => {
    told.push({ level, message });
  };
  return { debug: tell('debug'), info: tell('info'), warn: tell('warn'), error: tell('error') };
}

const NAME = { bucket: 'bucket', key: 'key' };
const LONG = 'long '.repeat(100);

describe('background', () => {
  it('collects what is due and sweeps when it is time, until it is stopped', async () => {
    const world = new World('background');
    const process = world.start();
    await process.s3.directory.create('bucket', 'owner');
    await putObject(process, NAME, LONG);
    await process.s3.objects.delete(NAME, undefined);
    const told: Told[] = [];
    const { clock, limits } = world;
    const background = new Background({
      store: process.s3,
      clock,
      limits,
      logger: newLogger(told),
    });
    background.start();
    background.start();
    await advanceInSteps(world, limits.garbageDelayMs);
    expect(await checkStore(world.store)).toEqual([]);
    expect(background.freedCount).toBe(1);
    expect(background.lastSweep).toBeUndefined();
    await advanceInSteps(world, limits.firstSweepMs);
    expect(background.lastSweep).toMatchObject({ chunks: 0, orphanChunks: 0 });
    await background.stop();
    await putObject(process, NAME, LONG);
    await process.s3.objects.delete(NAME, undefined);
    await advanceInSteps(world, limits.garbageDelayMs);
    expect(background.freedCount).toBe(1);
  });

  it('goes on after a step that failed, and says so', async () => {
    const world = new World('failing');
    const process = world.start();
    await process.s3.directory.create('bucket', 'owner');
    const told: Told[] = [];
    const { clock, limits } = world;
    const background = new Background({
      store: process.s3,
      clock,
      limits,
      logger: newLogger(told),
    });
    process.wire.isDead = true;
    background.start();
    await advanceInSteps(world, 2 * limits.collectorStepMs);
    expect(told.filter(({ level }) => level === 'error').length).toBeGreaterThan(1);
    process.wire.isDead = false;
    await putObject(process, NAME, LONG);
    await process.s3.objects.delete(NAME, undefined);
    await advanceInSteps(world, limits.garbageDelayMs);
    expect(background.freedCount).toBe(1);
    await background.stop();
  });

  it('reports what a sweep misses as an error', async () => {
    const world = new World('missing');
    const process = world.start();
    await process.s3.directory.create('bucket', 'owner');
    await putObject(process, NAME, LONG);
    const found = await process.s3.objects.find(NAME);
    const blob = (await process.s3.objects.partsOf(found))?.[0]?.blob;
    if (blob === undefined) throw new Error('a long object is in chunks');
    await process.s3.blobs.delete(found.shard, blob);
    const told: Told[] = [];
    const { clock, limits } = world;
    const background = new Background({
      store: process.s3,
      clock,
      limits,
      logger: newLogger(told),
    });
    background.start();
    await advanceInSteps(world, limits.firstSweepMs);
    expect(told).toContainEqual({
      level: 'error',
      message: 'a sweep found objects that lack chunks',
    });
    await background.stop();
  });
});

/** A step of the collector takes many turns but no time; the clock waits for it. */
async function advanceInSteps(world: World, durationMs: number): Promise<void> {
  const stepMs = world.limits.collectorStepMs;
  for (let passedMs = 0; passedMs <= durationMs; passedMs += stepMs) {
    await world.clock.advance(stepMs);
    for (let turn = 0; turn < 1000; turn += 1) await Promise.resolve();
  }
}
