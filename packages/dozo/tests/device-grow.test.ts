/** `dozo device grow` and `dozo up --discard`, on real files and (as root) on loop devices. */
import { execFileSync } from 'node:child_process';
import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { openEngine } from '@dozo/engine';
import type { Engine } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimHolder } from '../src/composition/claim-holder.ts';
import { dozo } from './command-line.ts';
import { SIZE, Workplace } from './dozo-process.ts';

const MIB = 2 ** 20;

let workplace: Workplace;
let path: string;

beforeEach(() => {
  workplace = new Workplace();
  path = join(workplace.directory, 'device');
});

afterEach(async () => {
  await workplace.clear();
});

async function withEngine(use: (engine: Engine) => Promise<void>): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  const [clock, random] = [await openSystemClock(), new SystemRandom()];
  const engine = await openEngine({ device, clock, random, holder: claimHolder({}) });
  await use(engine);
  await engine.close();
  await device.close();
}

const put = (key: string, value: Buffer) => [
  { kind: 'put', key: Buffer.from(key), value } as const,
];

/** Whether root may make loop devices here. */
function hasLoopDevices(): boolean {
  try {
    execFileSync('losetup', ['-f'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

/** What `dozo status` says of the engine, until it satisfies, for a few beats at most. */
async function untilDiscarded(): Promise<number> {
  for (let turn = 0; turn < 100; turn++) {
    const { output } = await dozo(['status', '--data', workplace.data, '--json']);
    const status = JSON.parse(output) as { readonly engine?: { readonly bytesDiscarded: number } };
    const bytes = status.engine?.bytesDiscarded ?? 0;
    if (bytes > 0) return bytes;
    await wait(100);
  }
  return 0;
}

describe('dozo device grow', () => {
  it('makes a file larger, uses all of it, and keeps what it holds', async () => {
    await dozo(['device', 'format', path, '--size', SIZE]);
    await withEngine(async (engine) => {
      await engine.apply(put('kept', Buffer.alloc(300_000, 'through it all ')));
    });
    const nothing = await dozo(['device', 'grow', path]);
    expect(nothing).toMatchObject({ status: 0, errors: '' });
    expect(nothing.output).toContain('nothing to do');
    const grown = await dozo(['device', 'grow', path, '--size', '384MiB']);
    expect(grown).toMatchObject({ status: 0, errors: '' });
    expect(grown.output).toMatch(
      /grown from 256 MiB to 384 MiB: \d+ segments more, room for .* more/,
    );
    const { size, blocks } = await stat(path);
    expect(size).toBe(384 * MIB);
    expect(blocks * 512).toBeGreaterThanOrEqual(384 * MIB);
    await withEngine(async (engine) => {
      expect(engine.stats().deviceBytes).toBe(384 * MIB);
      expect((await engine.get(Buffer.from('kept')))?.value).toHaveLength(300_000);
      // More than the small one had room for.
      const value = Buffer.alloc(4 * MIB, 'x');
      for (let at = 0; at < 40; at++) await engine.apply(put(`key ${String(at)}`, value));
    });
    expect(await dozo(['device', 'verify', path])).toMatchObject({ status: 0, errors: '' });
    const again = await dozo(['device', 'grow', path, '--size', '384MiB', '--json']);
    expect(JSON.parse(again.output)).toMatchObject({ path, isChanged: false, wonBytes: 0 });
  });

  it('shows and uses what a file was enlarged by with other means', async () => {
    await dozo(['device', 'format', path, '--size', SIZE]);
    await truncate(path, 480 * MIB);
    expect((await dozo(['device', 'show', path])).output).toContain(`dozo device grow ${path}`);
    const { output } = await dozo(['device', 'grow', path, '--json']);
    expect(JSON.parse(output)).toMatchObject({ isChanged: true, deviceBytes: 480 * MIB });
    expect((await dozo(['device', 'show', path])).output).not.toContain('device grow');
    await truncate(path, 200 * MIB);
    expect(await dozo(['device', 'grow', path])).toMatchObject({ status: 4, output: '' });
  });

  it('refuses what a daemon holds, what is no device, and a size that is smaller', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { device, pid } = await workplace.ready(daemon);
    const held = await dozo(['device', 'grow', device, '--size', '1GiB']);
    expect(held.status).toBe(3);
    expect(held.errors).toContain(`process ${pid} on host`);
    expect((await stat(device)).size).toBe(256 * MIB);
    await writeFile(path, Buffer.alloc(MIB, 'mine'));
    expect(await dozo(['device', 'grow', path, '--size', '2MiB'])).toMatchObject({ status: 4 });
    expect((await stat(path)).size).toBe(MIB);
    await dozo(['device', 'format', `${path}-2`, '--size', SIZE]);
    const smaller = await dozo(['device', 'grow', `${path}-2`, '--size', '100MiB']);
    expect(smaller).toMatchObject({ status: 2, output: '' });
    const huge = await dozo(['device', 'grow', `${path}-2`, '--size', '4000TiB']);
    expect(huge.status).toBe(6);
    expect((await stat(`${path}-2`)).size).toBe(256 * MIB);
  });
});

describe('dozo up --discard', () => {
  it('gives blocks of a file back when it is asked to, and not otherwise', async () => {
    // A smaller one has too little to spare for it.
    await dozo(['device', 'format', path, '--size', '512MiB']);
    const before = (await stat(path)).blocks;
    const plain = workplace.up(['--device', path]);
    await workplace.ready(plain);
    await wait(300);
    expect((await stat(path)).blocks).toBe(before);
    plain.child.kill('SIGTERM');
    await plain.ended;
    await workplace.ready(workplace.up(['--device', path, '--discard', 'on']));
    expect(await untilDiscarded()).toBeGreaterThan(16 * MIB);
    expect((await stat(path)).blocks).toBeLessThan(before);
  });
});

describe.runIf(hasLoopDevices())('a block device', () => {
  it('is grown to its new size, and told what is free', async () => {
    await writeFile(path, Buffer.alloc(256 * MIB));
    const block = execFileSync('losetup', ['-f', '--show', path], { encoding: 'utf8' }).trim();
    try {
      await dozo(['device', 'format', block]);
      const sized = await dozo(['device', 'grow', block, '--size', '384MiB']);
      expect(sized).toMatchObject({ status: 2, output: '' });
      await truncate(path, 384 * MIB);
      execFileSync('losetup', ['-c', block]);
      const { output } = await dozo(['device', 'grow', block]);
      expect(output).toContain('grown from 256 MiB to 384 MiB');
      const before = (await stat(path)).blocks;
      const daemon = workplace.up(['--device', block]);
      await workplace.ready(daemon);
      expect(await untilDiscarded()).toBeGreaterThan(0);
      // The segments that were discarded first lie in the new part: it was a hole before.
      expect((await stat(path)).blocks).toBeLessThanOrEqual(before + 16 * MIB);
      daemon.child.kill('SIGTERM');
      expect(await daemon.ended).toMatchObject({ status: 0 });
      expect(await dozo(['device', 'verify', block])).toMatchObject({ status: 0 });
    } finally {
      await workplace.end();
      execFileSync('losetup', ['-d', block]);
    }
  });
});
