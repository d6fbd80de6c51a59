/** Two hosts whose processes are killed as soon as they serve, again and again. */
import { SeededRandom } from '@dozo/base';
import { PageCache, SimulatedClock, SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { formatDevice, openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { HOLDER, KIB, bytes, mediumFor } from './simulated-engine.ts';

const SIZES = { segmentPayloadBytes: 64 * KIB, ringSlotCount: 8 };

test('starts that are cut off before they could free anything do not use the device up', async () => {
  const clock = new SimulatedClock({ seed: 'cut off' });
  const medium = mediumFor({ segmentCount: 24, ...SIZES });
  const random = new SeededRandom('cut off');
  const blank = new SimulatedDevice(medium, { clock, seed: 'format' });
  const times = { beatIntervalMs: 100, leaseMs: 400 };
  await formatDevice({ device: blank, clock, random, ...SIZES, ...times });
  await blank.close();

  async function start(index: number): Promise<{ engine: Engine; kill: () => void }> {
    const host = index % 2 === 0 ? 'alpha' : 'beta';
    const process = new SimulatedProcess(clock);
    const cache = new PageCache({ lockName: host });
    const seed = `start ${String(index)}`;
    const device = new SimulatedDevice(medium, { clock, seed, process, cache });
    const holder = { ...HOLDER, host, bootId: `boot of ${host}` };
    const opening = openEngine({ device, clock: process, random: new SeededRandom(seed), holder });
    const engine = await clock.runUntil(opening);
    return {
      engine,
      kill: () => {
        process.kill();
        device.halt();
      },
    };
  }

  const first = await start(0);
  await clock.runUntil(first.engine.apply([{ kind: 'put', key: bytes('k'), value: bytes('v') }]));
  first.kill();
  let quarantinedMax = 0;
  for (let index = 1; index < 40; index++) {
    const { engine, kill } = await start(index);
    quarantinedMax = Math.max(quarantinedMax, engine.stats().quarantinedSegmentCount);
    kill();
  }
  // It was as full as it gets, or this shows nothing.
  expect(quarantinedMax).toBeGreaterThan(20);
  const last = await start(40);
  await clock.advance(2000);
  const { state, quarantinedClaims, quarantinedSegmentCount } = last.engine.stats();
  expect(state).toBe('open');
  expect(quarantinedClaims).toHaveLength(1);
  expect(quarantinedSegmentCount).toBeLessThanOrEqual(4);
  expect(await clock.runUntil(last.engine.get(bytes('k')))).toMatchObject({ sizeBytes: 1 });
  expect((await clock.runUntil(last.engine.verify())).damages).toEqual([]);
});
