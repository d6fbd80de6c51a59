/**
 * `dozo forensics` on a real disk with two paths that went through a zombie run: the first holder is
 * stopped in mid-write, the second takes over after the lease, the first is continued and writes on with
 * every look at a clock switched off. Needs root and loop devices.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { KernelObjects, whyNoLoopDevices } from './harness/kernel-objects.ts';
import { tryCommand, type CommandResult } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';
import { formatSmallDevice, SMALL_DEVICE_BYTES, smallDeviceLoad } from './harness/small-device.ts';
import { WriterProcess } from './harness/writer-process.ts';

const EXIT_OVERLAP_FOUND = 11;
/** How often a zombie is given another try to write something before it finds out. */
const TRIES_MAX = 8;
/** How long one that is going to be killed may go on. */
const ZOMBIE_MS = 30;
const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');
const whyNot = whyNoLoopDevices();
const scratch = new Scratch('forensics');

/** The parts of the report that are looked at here. */
interface Report {
  readonly verdict: { readonly kind: string; readonly sentences: readonly string[] };
  readonly holders: readonly {
    readonly incarnation: number;
    readonly holder: { readonly host: string; readonly processId: number };
    readonly isRunning: boolean;
    readonly end: { readonly kind: string; readonly proof?: string };
    readonly pastFence: {
      readonly source: string;
      readonly recordCount: number;
      readonly keys: readonly { readonly text: string }[];
    } | null;
    readonly quarantine: { readonly segments: readonly number[] };
  }[];
  readonly overlaps: readonly {
    readonly signs: readonly { readonly kind: string; readonly certainty: string }[];
    readonly sharedSegments: readonly number[];
  }[];
  readonly unreadable: readonly object[];
}

let kernel = new KernelObjects();
const processes: WriterProcess[] = [];

afterEach(async () => {
  for (const process of processes.splice(0)) if (process.isRunning) await process.kill();
  await kernel.removeAll();
  kernel = new KernelObjects();
});

afterAll(() => {
  scratch.remove();
});

function dozo(...args: readonly string[]): Promise<CommandResult> {
  return tryCommand(process.execPath, [command, ...args]);
}

async function reportOf(path: string, status: number): Promise<Report> {
  const result = await dozo('forensics', path, '--json');
  expect(result, result.stderr).toMatchObject({ status, stderr: '' });
  return JSON.parse(result.stdout) as Report;
}

interface ZombieRun {
  readonly paths: readonly [string, string];
  readonly second: WriterProcess;
  readonly report: Report;
}

/**
 * Plays until a zombie has written past its fence before it found out: how far it gets before it needs
 * another segment, and looks at the ring, is chance.
 *
 * @param end ends the zombie. @returns what the device must say of its end.
 */
async function playZombie(
  name: string,
  end: (zombie: WriterProcess) => Promise<string>,
): Promise<ZombieRun> {
  for (let tries = 1; ; tries += 1) {
    const file = kernel.backingFile(scratch.join(`${name}-${tries}`), SMALL_DEVICE_BYTES);
    await formatSmallDevice(file);
    const paths = [await kernel.loopDevice(file), await kernel.loopDevice(file)] as const;
    const blind = { claimSwitches: { skipBeats: true, skipLeaseCheck: true } };
    const first = await start('first', paths[0], blind);
    first.go();
    await sleep(150);
    first.signal('SIGSTOP');
    const second = await start('second', paths[1], {});
    first.signal('SIGCONT');
    const endKind = await end(first);
    const report = await reportOf(paths[1], EXIT_OVERLAP_FOUND).catch((error: unknown) => {
      if (tries === TRIES_MAX) throw error;
      return undefined;
    });
    const [zombie] = report?.holders ?? [];
    const hasWritten = (zombie?.pastFence?.recordCount ?? 0) > 0;
    if (report !== undefined && hasWritten && zombie?.end.kind === endKind) {
      return { paths, second, report };
    }
    if (tries === TRIES_MAX) throw new Error('No zombie wrote anything and ended as it should.');
    await second.kill();
  }
}

async function start(
  name: string,
  path: string,
  switches: Parameters<typeof WriterProcess.start>[0]['switches'],
): Promise<WriterProcess> {
  const shape = { ...smallDeviceLoad, workerCount: 2, largeShare: 0 };
  const configuration = { ...shape, path, name, switches, mode: 'exclusive', seed: 7 } as const;
  const started = await WriterProcess.start(configuration, () => undefined);
  processes.push(started);
  return started;
}

describe.skipIf(whyNot !== undefined)(`forensics${whyNot ? ` (${whyNot})` : ''}`, () => {
  test('names both holders and the harmless writes, in use, after a crash, and after a restart', async () => {
    const { paths, second, report } = await playZombie('told', async (zombie) => {
      const { last } = await zombie.ownEnd();
      expect(last).toMatchObject({ kind: 'ended', how: 'fenced' });
      return 'stopped';
    });
    const [first, newest] = report.holders;
    expect(report.verdict.kind).toBe('overlap');
    expect(first?.end.kind).toBe('stopped');
    expect(newest).toMatchObject({ isRunning: true, end: { kind: 'newest' } });
    expect(first?.holder.processId).not.toBe(newest?.holder.processId);
    expect(report.overlaps[0]?.signs[0]).toMatchObject({ certainty: 'protocol' });
    expect(report.overlaps[0]?.sharedSegments).toEqual([]);
    expect(report.unreadable).toEqual([]);
    const story = report.verdict.sentences.join(' ');
    expect(story).toContain(`process ${String(first?.holder.processId)} on host`);
    expect(story).toMatch(/The first wrote \d+ records? .* after the second had taken over/);

    second.go();
    await sleep(300);
    await second.kill();
    const third = await start('third', paths[1], {});
    third.go();
    await sleep(300);
    expect(await third.quit()).toBe(0);
    const picture = scratch.join('story.svg');
    const later = await dozo('forensics', paths[0], '--svg', picture);
    expect(later).toMatchObject({ status: EXIT_OVERLAP_FOUND, stderr: '' });
    console.log(later.stdout);
    expect(later.stdout).toContain('TWO RAN AT ONCE; THE LAYOUT KEPT THEM APART');
    expect(readFileSync(picture, 'utf8')).toContain('</svg>');
    const after = await reportOf(paths[0], EXIT_OVERLAP_FOUND);
    expect(after.holders).toHaveLength(3);
    expect(after.holders[0]?.pastFence).toMatchObject({
      source: 'note',
      recordCount: first?.pastFence?.recordCount,
    });
    expect(after.holders[0]?.quarantine.segments).toEqual([]);
    expect(after.holders[1]?.end).toMatchObject({ kind: 'dead', proof: 'kernel' });
    expect(await dozo('device', 'verify', paths[0])).toMatchObject({ status: 0 });
  });

  test('a zombie of which nobody knows whether it is dead is released by a word, and stays told', async () => {
    const { paths, second, report } = await playZombie('word', async (zombie) => {
      // Killed in the middle of it, before it needs another segment and finds out.
      await sleep(ZOMBIE_MS);
      await zombie.kill();
      return 'unproven';
    });
    expect(report.holders[0]?.quarantine.segments).not.toEqual([]);
    const busy = await dozo('device', 'release-quarantine', paths[1], '--yes');
    expect(busy.status).toBe(3);
    expect(busy.stderr).toContain('then give this command again');
    expect(await second.quit()).toBe(0);
    const shown = await dozo('device', 'show', paths[0]);
    expect(shown.stdout).toContain('QUARANTINE    1 earlier claim is not proved dead');
    const released = await dozo('device', 'release-quarantine', paths[1], '--yes');
    expect(released, released.stderr).toMatchObject({ status: 0 });
    expect(released.stdout).toContain('1 claim released');
    const after = await reportOf(paths[0], EXIT_OVERLAP_FOUND);
    expect(after.holders[0]).toMatchObject({
      pastFence: { source: 'note', recordCount: report.holders[0]?.pastFence?.recordCount },
      end: { kind: 'dead', proof: 'operator' },
    });
    expect((await dozo('device', 'show', paths[0])).stdout).not.toContain('QUARANTINE');
    expect(await dozo('device', 'verify', paths[0])).toMatchObject({ status: 0 });
  });
});
