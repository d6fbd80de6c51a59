/** `dozo forensics` and `dozo device release-quarantine` on device files that two engines have held. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open as openFile, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Clock } from '@dozo/base';
import { acquireClaim } from '@dozo/claim';
import type { Engine } from '@dozo/engine';
import { openEngine } from '@dozo/engine';
import { openClaimFile, openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import type { FileDevice } from '@dozo/platform';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimHolder } from '../src/composition/claim-holder.ts';
import { dozo } from './command-line.ts';
import { DozoProcess } from './dozo-process.ts';
import { SECOND, ZOMBIE, formatSmall, playTakeover, write } from './two-holders.ts';
import type { Ground, TwoHolders } from './two-holders.ts';

const SIZE_BYTES = 4 * 2 ** 20;
const random = new SystemRandom();

let directory: string;
let path: string;
let clock: Clock;
let ground: Ground<FileDevice>;
let opened: FileDevice[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'dozo-forensics-'));
  path = join(directory, 'disk');
  writeFileSync(path, '');
  await truncate(path, SIZE_BYTES);
  clock = await openSystemClock();
  opened = [];
  ground = { clock, random, open: () => open('unlocked') };
  await formatSmall(ground);
});

afterEach(async () => {
  await Promise.all(opened.map((device) => device.close()));
  rmSync(directory, { recursive: true, force: true });
});

async function open(mode: 'unlocked' | 'exclusive'): Promise<FileDevice> {
  const device = await openFileDevice({ path, mode });
  opened.push(device);
  return device;
}

/** A device that one holder has passed on, and another one still writes to where nobody reads. */
async function zombieRun(): Promise<TwoHolders<FileDevice>> {
  const two = await playTakeover(ground);
  await write(two.zombie, 'zombie', 6);
  return two;
}

/** Ends both. The second one gives its claim back; of the first one nothing can be known. */
async function endBoth({ zombieDevice, second, secondDevice }: TwoHolders<FileDevice>) {
  await zombieDevice.close();
  await second.close();
  await secondDevice.close();
}

/** A holder that is killed: what its slot says stays. */
async function dieHolding(holder: typeof SECOND): Promise<void> {
  const device = await open('unlocked');
  await openEngine({ device, clock, random, holder });
  await device.close();
}

async function keysOf(): Promise<readonly string[]> {
  const device = await open('exclusive');
  const engine = await openEngine({ device, clock, random, holder: claimHolder({}) });
  const keys: string[] = [];
  for await (const { key } of engine.scan({})) keys.push(new TextDecoder().decode(key));
  await engine.close();
  await device.close();
  return keys;
}

describe('dozo forensics', () => {
  it('tells both holders, the overlap and the harmless writes, also while the device is in use', async () => {
    const two = await zombieRun();
    const { status, output, errors } = await dozo(['forensics', path]);
    expect({ status, errors }).toEqual({ status: 11, errors: '' });
    expect(output).toContain('TWO RAN AT ONCE; THE LAYOUT KEPT THEM APART');
    const story = output.replaceAll(/\s+/g, ' ');
    expect(story).toContain('process 12 on host alpha, pod osd-0-old');
    expect(story).toContain('The first wrote 6 records');
    expect(story).toContain('keys such as zombie-0, zombie-1, zombie-2, zombie-3');
    expect(story).toContain('holds it, and runs');
    await endBoth(two);
  });

  it('waits for the beats in a process that waits for nothing else', async () => {
    await dieHolding(SECOND);
    const { status, output, errors } = await new DozoProcess(['forensics', path]).ended;
    expect({ status, errors }).toEqual({ status: 0, errors: '' });
    expect(output).toContain('no beat of it was seen just now');
  });

  it('gives programs the same, in a form with a version', async () => {
    await endBoth(await zombieRun());
    const { status, output } = await dozo(['forensics', path, '--json']);
    expect(status).toBe(11);
    expect(JSON.parse(output)).toMatchObject({
      version: 1,
      kind: 'device',
      path,
      verdict: { kind: 'overlap' },
      holders: [
        {
          incarnation: 1,
          holder: { host: 'alpha' },
          lock: { kind: 'none' },
          end: { kind: 'unproven' },
          pastFence: { recordCount: 6, source: 'scan' },
        },
        { incarnation: 2, holder: { host: 'beta' }, end: { kind: 'released' } },
      ],
      overlaps: [{ signs: [{ kind: 'wrote', certainty: 'protocol' }], sharedSegments: [] }],
      unreadable: [],
    });
  });

  it('ends with 0 where there was one writer at a time, and changes nothing', async () => {
    await dieHolding(SECOND);
    const before = readFileSync(path);
    const { status, output } = await dozo(['forensics', path]);
    expect(status).toBe(0);
    expect(output).toContain('ONE WRITER AT A TIME');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('draws a picture, replaces a picture, and never anything else', async () => {
    await endBoth(await zombieRun());
    const picture = join(directory, 'story.svg');
    for (let round = 0; round < 2; round++) {
      expect(await dozo(['forensics', path, '--svg', picture])).toMatchObject({ status: 11 });
      expect(readFileSync(picture, 'utf8')).toMatch(/^<svg [^]*claim 2[^]*<\/svg>\n$/);
    }
    const before = readFileSync(path);
    const drawing = join(directory, 'drawing.svg');
    writeFileSync(drawing, '<svg xmlns="http://www.w3.org/2000/svg"/>');
    const missing = join(directory, 'missing', 'x.svg');
    for (const target of [path, directory, drawing, '/dev/null', missing]) {
      const { status, output, errors } = await dozo(['forensics', path, '--svg', target]);
      expect(status).toBe(6);
      expect(errors).toContain('cannot write the picture');
      // What was found out is told all the same.
      expect(output).toContain('TWO RAN AT ONCE');
    }
    expect(readFileSync(drawing, 'utf8')).toBe('<svg xmlns="http://www.w3.org/2000/svg"/>');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('refuses what is no device as other commands do', async () => {
    expect(await dozo(['forensics', `${path}-missing`])).toMatchObject({ status: 6 });
    const unguarded = await dozo(['forensics', directory]);
    expect(unguarded.status).toBe(6);
    expect(unguarded.errors).toContain('is a directory that was never guarded');
    for (const damaged of ['', 'hello', 'x'.repeat(8192)]) {
      writeFileSync(join(directory, '.dozo-claim'), damaged);
      const { status, errors } = await dozo(['forensics', directory]);
      expect(status).toBe(damaged === '' ? 6 : 4);
      expect(errors).not.toContain('format');
    }
    writeFileSync(path, Buffer.alloc(SIZE_BYTES, 'x'));
    expect(await dozo(['forensics', path])).toMatchObject({ status: 4 });
  });

  it('tells who held a guarded volume, by its directory and by its file', async () => {
    const settings = { beatIntervalMs: 20, leaseMs: 100, isLocal: false };
    const take = async (holder: typeof SECOND & { readonly name: string }) => {
      const options = { directory, mode: 'unlocked', settings, random } as const;
      const { device, place, path: file } = await openClaimFile(options);
      opened.push(device);
      const claim = await acquireClaim({ device, place, settings, clock, random, holder });
      await claim.update({ state: 'held' });
      return { claim, file };
    };
    const first = await take({ ...ZOMBIE, name: 'the database' });
    await first.claim.release();
    const second = await take({ ...SECOND, name: 'the database' });
    for (const target of [directory, second.file]) {
      const { status, output } = await dozo(['forensics', target, '--json']);
      expect(status).toBe(0);
      expect(JSON.parse(output)).toMatchObject({
        kind: 'claim-file',
        holders: [
          { holder: { host: 'alpha', name: 'the database' }, end: { kind: 'released' } },
          { holder: { host: 'beta' }, isRunning: true, pastFence: null },
        ],
      });
    }
    await second.claim.release();
    await damage(second.file, 20);
    expect(await dozo(['forensics', directory])).toMatchObject({ status: 4 });
  });
});

describe('dozo device release-quarantine', () => {
  const release = (...args: readonly string[]) =>
    dozo(['device', 'release-quarantine', path, ...args]);

  it('lists who is in doubt, wants a word, and gives the space back with a note', async () => {
    await endBoth(await zombieRun());
    const show = await dozo(['device', 'show', path, '--json']);
    expect(JSON.parse(show.output)).toMatchObject({
      ...{ beatIntervalMs: 20, leaseMs: 100, isLocal: false },
      quarantine: await quarantineByForensics(),
      claims: [{ isQuarantined: false }, { isQuarantined: true, holder: { host: 'alpha' } }],
    });
    expect((await dozo(['device', 'show', path])).output).toContain('QUARANTINE');
    const unasked = await release();
    expect(unasked.status).toBe(2);
    expect(unasked.errors).toContain('claim 1 (nonce');
    expect(unasked.errors).toContain('process 12 on host alpha, pod osd-0-old');
    expect(unasked.errors).toContain('--yes');
    const done = await release('--yes');
    expect(done.status).toBe(0);
    expect(done.output).toContain('1 claim released');
    const after = await dozo(['forensics', path, '--json']);
    expect(after.status).toBe(11);
    expect(JSON.parse(after.output)).toMatchObject({
      holders: [
        {
          end: { kind: 'dead', proof: 'operator' },
          pastFence: { source: 'note', recordCount: 6 },
          quarantine: { segments: [] },
        },
        { incarnation: 2 },
        { incarnation: 3, end: { kind: 'released' } },
      ],
    });
    expect(JSON.parse((await dozo(['device', 'show', path, '--json'])).output)).toMatchObject({
      quarantine: { claimCount: 0, segmentCount: 0, bytes: 0 },
    });
    expect((await keysOf()).filter((key) => key.startsWith('zombie'))).toEqual([]);
    expect(await release('--yes')).toMatchObject({ status: 0, errors: '' });
  });

  /** What the fence keeps apart, whatever the zombie has made of its slot since. */
  async function quarantineByForensics(): Promise<object> {
    const { output } = await dozo(['forensics', path, '--json']);
    const { holders } = JSON.parse(output) as {
      readonly holders: readonly {
        readonly quarantine: { readonly segments: readonly number[] };
      }[];
    };
    const segmentCount = holders[0]?.quarantine.segments.length ?? 0;
    expect(segmentCount).toBeGreaterThan(0);
    return { claimCount: 1, segmentCount, bytes: segmentCount * 80 * 1024 };
  }

  it('asks a person, and takes one word only', async () => {
    await endBoth(await zombieRun());
    const answering = (answer: string) => ({ ask: () => Promise.resolve(answer) });
    const args = ['device', 'release-quarantine', path];
    expect(await dozo(args, answering('yes'))).toMatchObject({ status: 2 });
    expect(await dozo(args, answering('dead'))).toMatchObject({ status: 0 });
  });

  it('releases only the claims that are named', async () => {
    const two = await zombieRun();
    await two.zombieDevice.close();
    await two.secondDevice.close();
    const wrong = await release('--claim', '7', '--yes');
    expect(wrong).toMatchObject({ status: 2 });
    expect(wrong.errors).toContain('there are 2, 1');
    expect(await release('--claim', 'x', '--yes')).toMatchObject({ status: 2 });
    expect(await release('--claim', '1', '--yes')).toMatchObject({ status: 0 });
    const { output } = await dozo(['forensics', path, '--json']);
    expect(JSON.parse(output)).toMatchObject({
      holders: [
        { end: { kind: 'dead', proof: 'operator' } },
        { end: { kind: 'unproven' } },
        { end: { kind: 'released' } },
      ],
    });
  });

  it('has nothing to release where every death is proved', async () => {
    const { status, output, errors } = await release();
    expect({ status, errors }).toEqual({ status: 0, errors: '' });
    expect(output).toContain('nothing was changed');
  });

  it('does not believe that a holder is dead that beats', async () => {
    const device = await open('unlocked');
    const living: Engine = await openEngine({ device, clock, random, holder: SECOND });
    const { status, errors } = await release('--yes');
    expect(status).toBe(3);
    expect(errors).toContain('a holder lives');
    await write(living, 'still', 2);
    expect(living.stats()).toMatchObject({ state: 'open', claim: { incarnation: 1 } });
    await living.close();
  });

  it('is refused while the device is in use, with what to do', async () => {
    const device = await open('exclusive');
    const engine = await openEngine({ device, clock, random, holder: claimHolder({}) });
    const { status, errors } = await release('--yes');
    expect(status).toBe(3);
    expect(errors).toContain(`process ${process.pid} on host`);
    expect(errors).toContain('stop it first; then give this command again');
    await engine.close();
  });
});

describe('dozo device format', () => {
  it('stores the intervals, and that only this machine reaches the device', async () => {
    const args = ['--local', '--beat', '250ms', '--lease', '2s', '--force', '--yes', '--size'];
    const file = join(directory, 'new');
    expect(await dozo(['device', 'format', file, ...args, '256MiB'])).toMatchObject({ status: 0 });
    expect(JSON.parse((await dozo(['device', 'show', file, '--json'])).output)).toMatchObject({
      ...{ beatIntervalMs: 250, leaseMs: 2000, isLocal: true },
    });
    expect((await dozo(['device', 'show', file])).output).toContain(
      'lease         2s, a beat every 250ms; local',
    );
  });

  it('refuses intervals that do not fit, and what is no time', async () => {
    const format = (...args: readonly string[]) =>
      dozo(['device', 'format', join(directory, 'new'), '--size', '256MiB', ...args]);
    expect(await format('--beat', '2s', '--lease', '3s')).toMatchObject({ status: 2 });
    expect(await format('--beat', 'soon')).toMatchObject({ status: 2 });
  });
});

async function damage(file: string, offset: number): Promise<void> {
  const handle = await openFile(file, 'r+');
  await handle.write(Buffer.alloc(4, 0xff), 0, 4, offset);
  await handle.close();
}
