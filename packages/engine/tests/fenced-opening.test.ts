/** An opening that is overtaken while it reads: what its successor writes over is not damage. */
import { SeededRandom } from '@dozo/base';
import { PageCache, SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { SMALL_TREE } from './engine-features.ts';
import { HOLDER, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

async function overwrite(world: World, engine: Engine, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const key = bytes(`k${String(world.random.below(60))}`);
    await engine.apply([{ kind: 'put', key, value: world.random.bytes(1500) }]);
  }
}

test('says that it was fenced, and not that the device is corrupt', async () => {
  for (let seed = 0; seed < 10; seed++) {
    const world = newWorld(`overtaken ${String(seed)}`);
    const { clock } = world;
    const run = async (): Promise<void> => {
      const medium = await formattedMedium(world, { segmentCount: 16, isLocal: false });
      const first = await openOn(world, medium);
      await overwrite(world, first.engine, 200);
      await first.engine.close();
      await first.device.close();
      const process = new SimulatedProcess(clock);
      let hasPaused = false;
      const open = (host: string, slow: boolean): Promise<Engine> => {
        const device = new SimulatedDevice(medium, {
          clock,
          seed: `${String(seed)} ${host}`,
          cache: new PageCache({ seed: host, lockName: host }),
          access: 'unlocked',
          ...(slow ? { process } : {}),
          onOperation: ({ kind, offset, phase }) => {
            // The first read of the log: the claim stands, and nothing is known yet.
            const isLog = kind === 'read' && offset > 140 * 1024 && phase === 'begin';
            if (!slow || !isLog || hasPaused) return;
            hasPaused = true;
            process.pause();
          },
        });
        return openEngine({
          device,
          clock: slow ? process : clock,
          random: new SeededRandom(host),
          holder: { ...HOLDER, host, bootId: host },
          wait: true,
          deadByWord: () => true,
          ...SMALL_TREE,
          ...(slow
            ? { testSwitches: { claimSwitches: { skipBeats: true, skipLeaseCheck: true } } }
            : {}),
        });
      };
      const slow = open('slow', true).then(
        () => 'opened',
        (error: unknown) => error,
      );
      while (process.state === 'running') await clock.advance(10);
      const winner = await open('fast', false);
      await overwrite(world, winner, 600);
      process.resume();
      expect(await slow).toMatchObject({ code: 'CLAIM_FENCED' });
      expect((await winner.verify()).damages).toEqual([]);
    };
    await clock.runUntil(run());
  }
});
