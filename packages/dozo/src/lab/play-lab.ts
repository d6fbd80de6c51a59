/** The whole evening: sets the stage, plays every part, clears the stage. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DozoError } from '@dozo/base';
import type { Clock } from '@dozo/base';

import { causeName, CommandError } from '../errors.ts';
import { playControl } from './control.ts';
import { tryAbilities } from './abilities.ts';
import type { Abilities } from './abilities.ts';
import type { AccidentResult, Broken, LabReport, WayResult } from './lab-report.ts';
import { WAYS_IN } from './lab-report.ts';
import { playLevelDbAccident } from './leveldb-accident.ts';
import { BEAT_INTERVAL_MS, LEASE_MS } from './limits.ts';
import { playNaiveAccident } from './naive-accident.ts';
import { Scene } from './scene.ts';
import { playWay } from './six-ways.ts';
import type { Stage } from './stage.ts';
import type { Story } from './story.ts';

export interface LabOptions {
  /** Everything that the lab makes lies below; it must exist. */
  readonly directory: string;
  readonly clock: Clock;
  readonly story: Story;
  /** Plays Dozo without any layer too, which must go wrong. */
  readonly hasControl: boolean;
  /** Ends the lab; what it has made is cleared away first. */
  readonly signal: AbortSignal;
}

/** Rejects with `DATA_DIRECTORY_UNUSABLE`, and with the reason of `signal` once that is aborted. */
export async function playLab(options: LabOptions): Promise<LabReport> {
  const { clock, story, signal } = options;
  const baseDirectory = makeBaseDirectory(options.directory);
  try {
    const abilities = await tryMachine(baseDirectory);
    const stage: Stage = {
      story,
      clock,
      signal,
      abilities,
      inScene: async (name, play) => {
        const scene = new Scene({ baseDirectory, name, abilities, clock, signal });
        try {
          return await play(scene);
        } finally {
          await scene.close();
        }
      },
    };
    tellBeginning(stage, baseDirectory);
    const accidents = await playAccidents(stage);
    const ways = await playWays(stage);
    if (!options.hasControl) return { accidents, ways };
    story.chapter('4. The control: Dozo without any layer');
    return { accidents, ways, control: await attempt(stage, () => playControl(stage)) };
  } finally {
    rmSync(baseDirectory, { recursive: true, force: true });
  }
}

function makeBaseDirectory(directory: string): string {
  try {
    return mkdtempSync(join(directory, 'dozo-lab-'));
  } catch (error) {
    throw new CommandError(
      `the lab cannot make its directory in ${directory} (${causeName(error)}); name one that this user may write to with --directory`,
      { code: 'DATA_DIRECTORY_UNUSABLE', path: directory },
      { cause: error },
    );
  }
}

async function tryMachine(baseDirectory: string): Promise<Abilities> {
  const directory = mkdtempSync(join(baseDirectory, 'try-'));
  const file = join(baseDirectory, 'try');
  writeFileSync(file, Buffer.alloc(2 ** 20));
  const abilities = await tryAbilities(directory, file);
  rmSync(directory, { recursive: true });
  rmSync(file);
  return abilities;
}

function tellBeginning(stage: Stage, baseDirectory: string): void {
  const { story, abilities } = stage;
  story.chapter('One disk, two daemons');
  story.say(
    `Everything below happens now, on this machine, with real processes; it lies in ${baseDirectory} and is cleared away at the end. A daemon is moved to another container while the old one still runs: the old one locks its disk, the new one locks it too, and both write.`,
  );
  if (abilities.containers !== undefined) {
    story.say(
      `This user may not make containers (${abilities.containers}). In their place each daemon gets a run directory of its own, which is all that matters of a container here.`,
    );
  }
  if (abilities.loopDevices !== undefined) {
    story.say(
      `No loop devices either (${abilities.loopDevices}): disks are files here. As root the lab plays everything.`,
    );
  }
}

async function playAccidents(stage: Stage): Promise<AccidentResult[]> {
  stage.story.chapter('1. A naive daemon, its lock file in a private directory');
  const naive = { store: 'naive store', ...(await attempt(stage, () => playNaiveAccident(stage))) };
  stage.story.chapter('2. LevelDB, its LOCK file made private');
  const level = { store: 'LevelDB', ...(await attempt(stage, () => playLevelDbAccident(stage))) };
  return [naive, level];
}

async function playWays(stage: Stage): Promise<WayResult[]> {
  stage.story.chapter('3. Dozo, by each of six ways in');
  stage.story.say(
    `The same choreography: A holds the disk, B is started on it. Dozo locks the disk itself (the kernel's lock), holds a lease on the disk, and writes only where nobody else may. For this lab a beat is ${BEAT_INTERVAL_MS} ms and a lease ${LEASE_MS} ms; the defaults are five times as long.`,
  );
  const results: WayResult[] = [];
  for (const [index, way] of WAYS_IN.entries()) {
    stage.story.chapter(`3.${index + 1} ${way}`);
    results.push({ way, ...(await attempt(stage, () => playWay(stage, way))) });
  }
  return results;
}

/** A part that cannot be played to its end is told as such, and the next one is played. */
async function attempt<Result>(
  stage: Stage,
  play: () => Promise<Result>,
): Promise<Result | Broken> {
  try {
    return await play();
  } catch (error) {
    if (stage.signal.aborted || !isOfThisWorld(error)) throw error;
    const reason = error.message;
    stage.story.say(`Broken off: ${reason}`);
    return { outcome: 'broken off', reason };
  }
}

/** A refusal of ours or of the kernel (no room on the disk, say); anything else is a bug. */
function isOfThisWorld(error: unknown): error is Error {
  return error instanceof DozoError || (error instanceof Error && 'syscall' in error);
}
