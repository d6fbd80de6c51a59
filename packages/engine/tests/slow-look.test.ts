/**
 * A device that is slow to answer a look at the ring, while puts wait for space that nothing will free: the
 * engine waits for it. An engine that turned in a circle instead would keep the thread from hearing the
 * answer, for ever; in virtual time, whose device answers between two microtasks, that would not be seen.
 */
import { hasCode } from '@dozo/base';
import type { Clock } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { SMALL_TREE } from './engine-features.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';

/** So long an answer takes, in microtasks: far longer than anything else that goes on meanwhile. */
const LOOK_MICROTASKS = 4000;
/** Of the clock, between two operations of the device: as merges and lookups from memory have them. */
const QUESTIONS_MAX = 150;
const SEGMENT_COUNT = 18;
const KEYS = 30;
const ROUNDS = 8;

/** Counts what an engine asks of its clock while it waits for nothing but a look at the ring. */
class Questions {
  most = 0;
  lookCount = 0;
  #count = 0;
  #looksHeld = 0;

  asked(): void {
    this.#count++;
    if (this.#looksHeld > 0) this.most = Math.max(this.most, this.#count);
  }

  deviceWorks(): void {
    this.#count = 0;
  }

  async holdLook(): Promise<void> {
    this.lookCount++;
    this.#looksHeld++;
    this.deviceWorks();
    for (let turn = 0; turn < LOOK_MICROTASKS; turn++) await Promise.resolve();
    this.#looksHeld--;
  }
}

class SlowLooks extends SimulatedDevice {
  questions: Questions | undefined;

  override async readUncached(offset: number, into: Uint8Array): Promise<void> {
    await super.readUncached(offset, into);
    // In front of the segments: superblocks and the ring.
    if (offset < 64 * KIB + 8 * 8 * KIB) await this.questions?.holdLook();
  }
}

function countingClock(clock: Clock, questions: Questions): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => {
      questions.asked();
      return clock.monotonicMs();
    },
    startTimer: (delayMs, callback) => clock.startTimer(delayMs, callback),
    turn: () => clock.turn(),
  };
}

/** Overwrites keys until a put finds no space, because an open snapshot holds it; returns how many were taken. */
async function overwriteUntilFull(engine: Engine): Promise<number> {
  const snapshot = engine.snapshot();
  const value = new Uint8Array(1100);
  for (let count = 0; ; count++) {
    const key = bytes(`key/${String(count % KEYS)}`);
    try {
      await engine.apply([{ kind: 'put', key, value }]);
    } catch (error) {
      if (!hasCode(error, 'DEVICE_FULL')) throw error;
      snapshot.close();
      return count;
    }
  }
}

test('puts that wait for space leave the device the time to answer a look at the ring', async () => {
  const world = newWorld('slow looks');
  const { clock, random } = world;
  const medium = await formattedMedium(world, {
    segmentCount: SEGMENT_COUNT,
    segmentPayloadBytes: 32 * KIB,
  });
  const questions = new Questions();
  const device = new SlowLooks(medium, {
    clock,
    seed: 'slow looks',
    onOperation: () => {
      questions.deviceWorks();
    },
  });
  const counted = countingClock(clock, questions);
  const options = { device, clock: counted, random, holder: HOLDER, ...SMALL_TREE };
  const engine = await openEngine(options);
  device.questions = questions;
  for (let round = 0; round < ROUNDS; round++) {
    expect(await overwriteUntilFull(engine)).toBeGreaterThan(KEYS);
  }
  expect(questions.lookCount).toBeGreaterThan(ROUNDS);
  expect(questions.most).toBeLessThan(QUESTIONS_MAX);
  await engine.close();
});
