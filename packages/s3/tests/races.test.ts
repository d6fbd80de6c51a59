import { describe, expect, it } from 'vitest';
import * as races from './races.ts';
import type { Off, Race } from './races.ts';

const SEEDS = 60;
/** With a mechanism off, one of so many seeds has to show it. */
const SEEDS_OFF = 300;

async function firstProblem(race: Race, off: Off, seeds: number): Promise<string | undefined> {
  for (let seed = 0; seed < seeds; seed += 1) {
    const problems = await race(seed, off);
    if (problems.length > 0) return `seed ${String(seed)}: ${problems.join('; ')}`;
  }
  return undefined;
}

const RACES: readonly (readonly [string, Race])[] = [
  ['a put and a delete of its bucket', races.putAgainstDeleteBucket],
  ['three puts and a delete of one key', races.putAgainstPut],
  ['three conditional puts of one key', races.conditionalPuts],
  ['a complete, an abort and parts', races.completeAgainstPart],
  ['a late commit and two collectors', races.commitAgainstCollector],
  ['readers, an overwrite and a collector', races.getAgainstOverwrite],
  ['creates, deletes and a put', races.createAgainstDelete],
  ['a sweep and writers', races.sweepAgainstWriters],
];

describe('whatever the order of events', () => {
  it.each(RACES)('%s leave a consistent store', async (_, race) => {
    expect(await firstProblem(race, {}, SEEDS)).toBeUndefined();
  });
});

const OFF: readonly (readonly [string, Off, Race])[] = [
  ['the header as precondition', { headerPrecondition: false }, races.putAgainstDeleteBucket],
  ['the entry as precondition', { entryPrecondition: false }, races.putAgainstPut],
  ['the entry as precondition of a guard', { entryPrecondition: false }, races.conditionalPuts],
  ['the intent as precondition', { intentPrecondition: false }, races.commitAgainstCollector],
  ['the mark `collecting`', { collectingMark: false }, races.commitAgainstCollector],
  ['the garbage queue', { garbageQueue: false }, races.putAgainstPut],
  ['the garbage delay', { garbageDelay: false }, races.getAgainstOverwrite],
  ['the arming of uploads', { partArming: false }, races.completeAgainstPart],
  ['the intent in front of the chunks', { intentFirst: false }, races.sweepAgainstWriters],
];

describe('the checker notices the absence of', () => {
  it.each(OFF)('%s', async (_, off, race) => {
    expect(await firstProblem(race, off, SEEDS_OFF)).toBeDefined();
  });
});
