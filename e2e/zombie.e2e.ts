/**
 * Harmless zombies: a process that was stopped in the middle of a write, lost the device to another one
 * meanwhile, and goes on writing with the kernel's lock, the lease and every clock switched off. Nobody
 * who reads may notice. `harness/zombie-round.ts` tells the choreography. Needs root and loop devices.
 *
 * `DOZO_ZOMBIE_ROUNDS=300` plays so many rounds.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { whyNoLoopDevices } from './harness/kernel-objects.ts';
import { drawSeed, scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';
import { SeededDraw } from './harness/seeded-draw.ts';
import {
  fullCheck,
  layoutOnly,
  playZombieRound,
  type ZombieRoundResult,
} from './harness/zombie-round.ts';

const CONTROL_ROUNDS_MAX = 10;
const whyNot = whyNoLoopDevices();
const scratch = new Scratch('zombie');

afterAll(() => {
  scratch.remove();
});

describe.skipIf(whyNot !== undefined)(`a zombie${whyNot ? ` (${whyNot})` : ''}`, () => {
  test(`${scale.zombieRounds} times: nothing of what it writes is ever seen`, async () => {
    const seed = drawSeed('zombie');
    const draw = new SeededDraw(seed);
    const results: ZombieRoundResult[] = [];
    for (let round = 1; round <= scale.zombieRounds; round += 1) {
      // In one of four it has its checks, and must find out before its first write.
      const isChecked = round % 4 === 0;
      const zombieSwitches = isChecked ? fullCheck : layoutOnly;
      const file = scratch.join(`disk-${round}`);
      const result = await playZombieRound({ file, draw, zombieSwitches, successorSwitches: {} });
      expect(result.problems, `round ${round} of seed ${seed}`).toEqual([]);
      expect(result.zombieEnd, `round ${round} of seed ${seed}`).toBe('fenced');
      if (isChecked) expect(result.zombieAcknowledgedCount).toBe(0);
      // What nobody reads, forensics finds: who, and how much of it.
      const { verdict, recordCountPastFences } = result.forensics;
      expect(recordCountPastFences).toBeGreaterThanOrEqual(result.zombieRecordCount);
      if (result.zombieRecordCount > 0) expect(verdict).toBe('overlap');
      results.push(result);
    }
    const sum = (count: (result: ZombieRoundResult) => number): number =>
      results.reduce((total, result) => total + count(result), 0);
    console.log(
      `zombie: ${results.length} rounds, ${sum((one) => one.acknowledgedCount)} batches acknowledged ` +
        `and all there; ${sum((one) => one.zombieAcknowledgedCount)} by zombies, none of them seen; ` +
        `${sum((one) => one.checkpointCount)} checkpoints, ` +
        `${Math.round(sum((one) => one.bytesMoved) / 1024)} KiB moved by reclaim, ` +
        `${sum((one) => one.deviceTurns).toFixed(1)} times the device written by successors, ` +
        `${sum((one) => one.staleReadCount)} reads of stale pages put right`,
    );
    // Rounds in which no zombie wrote and nobody reclaimed would have proved nothing.
    expect(sum((one) => one.zombieAcknowledgedCount)).toBeGreaterThan(0);
    expect(sum((one) => one.checkpointCount)).toBeGreaterThan(0);
    expect(sum((one) => one.deviceTurns)).toBeGreaterThan(results.length / 2);
  });

  test('the control: with the ownership of segments switched off the same zombie destroys', async () => {
    const draw = new SeededDraw(drawSeed('zombie-control'));
    let problems: readonly string[] = [];
    for (let round = 1; round <= CONTROL_ROUNDS_MAX && problems.length === 0; round += 1) {
      const zombieSwitches = {
        skipReservationConfirm: true,
        claimSwitches: { ...layoutOnly.claimSwitches, skipReadAfterReservation: true },
      };
      const file = scratch.join(`control-${round}`);
      const successorSwitches = { ignoreQuarantine: true };
      ({ problems } = await playZombieRound({
        ...{ file, draw, zombieSwitches, successorSwitches },
        // Much, and for a while: it has to come to where its successor is.
        ...{ zombieLargeShare: 0.5, zombieMsMax: 3_000 },
      }));
    }
    console.log(
      `zombie, control: ${problems.length} problems; the first: ${problems[0] ?? 'none'}`,
    );
    expect(problems).not.toEqual([]);
  });
});
