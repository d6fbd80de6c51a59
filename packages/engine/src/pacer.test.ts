import type { Clock } from '@dozo/base';
import { beforeEach, expect, test } from 'vitest';
import { newCounters } from './counters.ts';
import type { Counters } from './counters.ts';
import { STEP_MS_MAX } from './limits.ts';
import { Pacer } from './pacer.ts';

let nowMs: number;
let turnCount: number;
let counters: Counters;
let pacer: Pacer;

beforeEach(() => {
  nowMs = 1000;
  turnCount = 0;
  counters = newCounters();
  const clock: Clock = {
    wallMs: () => 0,
    monotonicMs: () => nowMs,
    startTimer: () => ({ cancel: () => undefined }),
    turn: () => {
      turnCount++;
      return Promise.resolve();
    },
  };
  pacer = new Pacer(clock, counters);
});

test('there is a turn when enough has been done since the last one, and not before', async () => {
  pacer.begin();
  nowMs += STEP_MS_MAX * 0.6;
  await pacer.pause();
  expect(turnCount).toBe(0);
  nowMs += STEP_MS_MAX * 0.6;
  await pacer.pause();
  expect(turnCount).toBe(1);
  expect(counters.stepMsMax).toBeCloseTo(STEP_MS_MAX * 1.2);
  nowMs += STEP_MS_MAX * 0.6;
  await pacer.pause();
  expect(turnCount).toBe(1);
});

test('what is waited for is no work, and what was done before it still counts', async () => {
  nowMs += 5000;
  pacer.begin();
  for (let round = 0; round < 2; round++) {
    nowMs += STEP_MS_MAX * 0.6;
    await pacer.wait(Promise.resolve().then(() => (nowMs += 300)));
  }
  await pacer.pause();
  expect(turnCount).toBe(1);
  expect(counters.stepMsMax).toBeCloseTo(STEP_MS_MAX * 1.2);
});

test('a wait that fails says so, and is over', async () => {
  pacer.begin();
  const failing = Promise.reject(new Error('the device is gone'));
  await expect(pacer.wait(failing)).rejects.toThrow('the device is gone');
  nowMs += STEP_MS_MAX;
  await pacer.pause();
  expect(counters.stepMsMax).toBeCloseTo(STEP_MS_MAX);
});

test('where time stands still there is a turn now and then all the same', async () => {
  for (let piece = 0; piece < 1000; piece++) await pacer.pause();
  expect(turnCount).toBeGreaterThan(5);
});
