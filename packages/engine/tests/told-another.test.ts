/**
 * The pages of a group are lost, its flush says nothing of it, and the error goes to the write of a table that
 * is on its way at the same time: the engine knows that something is not on the device before it hears that
 * the group is, and must not acknowledge it.
 */
import { SeededRandom, hasCode } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import type { OperationEvent, SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

/** Where the segments of these disks begin: what lies before belongs to the claim. */
const AREA_OFFSET = 64 * KIB + 8 * 8 * KIB + 4 * KIB;
/** The first bytes of a group, and of a segment. */
const LOG_BEGINNINGS = ['DZGR', 'DOZOSEG1'];

interface Told {
  readonly world: World;
  readonly medium: SimulatedMedium;
  readonly engine: Engine;
  /** How often the error of a group was given to a table. */
  readonly count: () => number;
}

/** An engine of which one group is lost while a table is written. */
async function openTold(seed: number): Promise<Told> {
  const world = newWorld(`told-another/${seed}`);
  const medium = await formattedMedium(world, { segmentCount: 32, segmentPayloadBytes: 128 * KIB });
  let isArmed = false;
  let isTableOnItsWay = false;
  const onOperation = ({ kind, phase, offset, bytes: written }: OperationEvent): void => {
    if (kind !== 'write' || written === undefined || offset < AREA_OFFSET || isArmed) return;
    const beginning = new TextDecoder('latin1').decode(written.subarray(0, 8));
    const isLog = LOG_BEGINNINGS.some((known) => beginning.startsWith(known));
    if (!isLog) isTableOnItsWay = phase === 'begin';
    if (!isLog || phase !== 'end' || !isTableOnItsWay) return;
    isArmed = true;
    // The next flush to begin is that of this write.
    device.inject({ kind: 'flush', after: 0, effect: 'tell-another', byMs: 20 });
  };
  const { clock, random } = world;
  const device = new SimulatedDevice(medium, { clock, seed, onOperation });
  const memtableBytes = 16 * KIB;
  const engine = await openEngine({ device, clock, random, holder: HOLDER, memtableBytes });
  return { world, medium, engine, count: () => Number(isArmed) };
}

describe('a group whose loss somebody else is told of', () => {
  test('is not acknowledged, and nothing that was is lost', async () => {
    let toldCount = 0;
    for (let seed = 0; seed < 8; seed++) {
      const { world, medium, engine, count } = await openTold(seed);
      let hasEnded = false;
      void engine.ended.then(() => {
        hasEnded = true;
      });
      const acknowledged: string[] = [];
      let refusal: unknown;
      for (let index = 0; index < 2000 && refusal === undefined; index++) {
        const key = `key ${index}`;
        try {
          await engine.apply([{ kind: 'put', key: bytes(key), value: world.random.bytes(60) }]);
          expect(hasEnded, 'acknowledged after the engine had ended').toBe(false);
          acknowledged.push(key);
        } catch (error) {
          refusal = error;
        }
      }
      expect(hasCode(refusal, 'ENGINE_FAILED'), 'the group was refused').toBe(true);
      toldCount += count();
      await engine.close();
      const device = new SimulatedDevice(medium.crash(new SeededRandom(seed)), {
        clock: world.clock,
        seed: `${seed} again`,
      });
      const { clock, random } = world;
      const again = await openEngine({ device, clock, random, holder: HOLDER });
      for (const key of acknowledged) {
        expect(await again.get(bytes(key)), `${key} was acknowledged`).toBeDefined();
      }
      await again.close();
      await device.close();
    }
    expect(toldCount).toBe(8);
  });
});
