/** `dozo device` and `dozo status`, on device files, beside real daemons. */
import { execFileSync } from 'node:child_process';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openEngine } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimHolder } from '../src/composition/claim-holder.ts';
import { dozo } from './command-line.ts';
import type { Outcome } from './command-line.ts';
import { ACCESS_KEY_ID, SECRET, SIZE, Workplace } from './dozo-process.ts';

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

/** A formatted device with one value of 300 KiB on it, closed clean. */
async function deviceWithValue(): Promise<void> {
  const formatted = await dozo(['device', 'format', path, '--size', SIZE]);
  expect(formatted).toMatchObject({ status: 0, errors: '' });
  const device = await openFileDevice({ path, mode: 'exclusive' });
  const [clock, random] = [await openSystemClock(), new SystemRandom()];
  const engine = await openEngine({ device, clock, random, holder: claimHolder({}) });
  const value = Buffer.alloc(300 * 1024, 'recognise me ');
  await engine.apply([{ kind: 'put', key: Buffer.from('a key'), value }]);
  await engine.apply([{ kind: 'put', key: Buffer.from('last'), value: Buffer.from('at the end') }]);
  await engine.close();
  await device.close();
}

/** Tries to serve the device, which must be refused before anything is served. */
const up = (): Promise<Outcome> =>
  dozo(
    ['up', '--device', path, '--data', workplace.data, '--port', '0'].concat([
      '--log-format',
      'human',
      '--log-level',
      'silent',
    ]),
    { environment: { DOZO_ACCESS_KEY_ID: ACCESS_KEY_ID, DOZO_SECRET_ACCESS_KEY: SECRET } },
  );

async function overwrite(offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

/** Needs root, and a kernel with loop devices. */
function hasLoopDevices(): boolean {
  try {
    execFileSync('losetup', ['-f'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

describe('dozo device format', () => {
  it('makes a file that dozo up --device serves', async () => {
    await deviceWithValue();
    const daemon = workplace.up(['--device', path]);
    expect((await workplace.ready(daemon)).device).toBe(path);
    const { status, errors } = await dozo(['device', 'format', path, '--size', SIZE]);
    expect(status).toBe(4);
    expect(errors).toMatch(/^dozo: .*something is there already.*\n$/);
  });

  it('formats a file of zeros that is there', async () => {
    await writeFile(path, '');
    await truncate(path, 256 * MIB);
    expect(await dozo(['device', 'format', path])).toMatchObject({ status: 0, errors: '' });
    expect(await dozo(['device', 'show', path])).toMatchObject({ status: 0 });
  });

  it.each([
    { where: 'at its start', offset: 0 },
    { where: 'beyond what its signature would show', offset: 100 * MIB },
    { where: 'in its last byte', offset: 256 * MIB - 1 },
  ])('refuses a device with something $where, and changes nothing', async ({ offset }) => {
    await writeFile(path, '');
    await truncate(path, 256 * MIB);
    await overwrite(offset, Buffer.from('x'));
    const { status, errors } = await dozo(['device', 'format', path]);
    expect(status).toBe(4);
    expect(errors).toMatch(/^dozo: cannot format .* it is not empty.*--force\n$/);
    const handle = await open(path);
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, offset);
    await handle.close();
    expect(buffer.toString()).toBe('x');
    expect((await dozo(['device', 'show', path])).status).toBe(4);
  });

  it('names what is lost, and wants a confirmation for --force', async () => {
    await deviceWithValue();
    expect((await dozo(['device', 'format', path])).errors).toContain(
      'a Dozo device, last used by',
    );
    const asked = await dozo(['device', 'format', path, '--force']);
    expect(asked.status).toBe(2);
    expect(asked.errors).toContain('Formatting it destroys that, for good.');
    expect(asked.errors).toMatch(/^dozo: .* was not formatted: .*--yes.*$/m);
    expect((await dozo(['device', 'show', path])).output).toContain('released');
    const forced = await dozo(['device', 'format', path, '--force', '--yes']);
    expect(forced.status).toBe(0);
    expect(forced.errors).toContain('a Dozo device, last used by');
    expect((await dozo(['device', 'show', path])).output).toContain('none: never used');
  });

  it('formats when a person types the path again, and only then', async () => {
    await writeFile(path, Buffer.alloc(256 * MIB, 'x'));
    const questions: string[] = [];
    const typing = (answer: string) => ({
      ask: (question: string) => {
        questions.push(question);
        return Promise.resolve(answer);
      },
    });
    const args = ['device', 'format', path, '--force'];
    expect(await dozo(args, typing('yes'))).toMatchObject({ status: 2 });
    expect(await dozo(['device', 'show', path])).toMatchObject({ status: 4 });
    expect(await dozo(args, typing(path))).toMatchObject({ status: 0 });
    expect(await dozo(['device', 'show', path])).toMatchObject({ status: 0 });
    expect(questions).toHaveLength(2);
  });

  it('refuses a device that a daemon holds, --force or not', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { device, pid } = await workplace.ready(daemon);
    for (const force of [[], ['--force', '--yes']]) {
      const { status, errors } = await dozo(['device', 'format', device, ...force]);
      expect(status).toBe(3);
      expect(errors).toContain(`process ${pid} on host`);
    }
  });

  it('refuses what is too small, what is not there, and what is no device', async () => {
    await writeFile(path, Buffer.alloc(MIB));
    expect(await dozo(['device', 'format', path])).toMatchObject({ status: 4 });
    expect(await readFile(path)).toEqual(Buffer.alloc(MIB));
    expect(await dozo(['device', 'format', `${path}-missing`])).toMatchObject({ status: 6 });
    expect(await dozo(['device', 'format', workplace.directory])).toMatchObject({ status: 6 });
    expect(await dozo(['device', 'format', `${path}-new`, '--size', '1MiB'])).toMatchObject({
      status: 4,
    });
    expect(await dozo(['device', 'show', `${path}-new`])).toMatchObject({ status: 6 });
  });
});

describe.runIf(hasLoopDevices())('a block device', () => {
  it('is formatted only when nothing is on it, served, and refused to everybody else', async () => {
    await writeFile(path, '');
    await truncate(path, 256 * MIB);
    await overwrite(1080, Buffer.from([0x53, 0xef]));
    const block = execFileSync('losetup', ['-f', '--show', path], { encoding: 'utf8' }).trim();
    try {
      const refused = await dozo(['device', 'format', block]);
      expect(refused.status).toBe(4);
      expect(refused.errors).toContain('ext4 file system');
      expect(await dozo(['device', 'format', block, '--force', '--yes'])).toMatchObject({
        status: 0,
      });
      const daemon = workplace.up(['--device', block]);
      const { pid } = await workplace.ready(daemon);
      const held = await dozo(['device', 'format', block, '--force', '--yes']);
      expect(held.status).toBe(3);
      expect(held.errors).toContain(`process ${pid} on host`);
      daemon.child.kill('SIGTERM');
      expect(await daemon.ended).toMatchObject({ status: 0 });
      expect(await dozo(['device', 'verify', block])).toMatchObject({ status: 0 });
    } finally {
      await workplace.end();
      execFileSync('losetup', ['-d', block]);
    }
  });
});

describe('dozo device check, also called verify', () => {
  it('finds no damage on a sound device', async () => {
    await deviceWithValue();
    const text = await dozo(['device', 'check', path]);
    expect(text).toMatchObject({ status: 0, errors: '' });
    expect(await dozo(['device', 'verify', path])).toEqual(text);
    expect(text.output).toMatch(/: no damage \(\d+ records, .* read\)\n$/);
    const { output } = await dozo(['device', 'verify', path, '--json']);
    expect(JSON.parse(output)).toMatchObject({ path, damages: [] });
  });

  it('reports a flipped bit in a value, with its place, and changes nothing', async () => {
    await deviceWithValue();
    const before = await readFile(path);
    const offset = before.indexOf('recognise me recognise me') + 100_000;
    const damaged = (before[offset] ?? 0) ^ 1;
    await overwrite(offset, Uint8Array.of(damaged));
    const text = await dozo(['device', 'verify', path]);
    expect(text.status).toBe(5);
    expect(text.output).toMatch(/: 1 damaged place .*\n {2}byte \d+, .*; key a\\x20key\n/);
    expect(text.output).toContain('would drop:\n  a\\x20key (');
    const json = await dozo(['device', 'verify', path, '--json']);
    expect(json.status).toBe(5);
    const { damages } = JSON.parse(json.output) as {
      readonly damages: readonly { readonly offset: number; readonly sizeBytes: number }[];
    };
    expect(damages).toHaveLength(1);
    const [damage] = damages;
    expect(damage?.offset).toBeLessThanOrEqual(offset);
    expect((damage?.offset ?? 0) + (damage?.sizeBytes ?? 0)).toBeGreaterThan(offset);
    before[offset] = damaged;
    expect((await readFile(path)).equals(before)).toBe(true);
  });

  it('reports damage of the log itself, behind which nothing can be found', async () => {
    await deviceWithValue();
    // A group begins with a block of its own, and this one is short.
    const inside = (await readFile(path)).indexOf('at the end');
    await overwrite(inside - (inside % 4096), Buffer.alloc(16, 0xff));
    const text = await dozo(['device', 'verify', path]);
    expect(text).toMatchObject({ status: 5, errors: '' });
    expect(text.output).toMatch(/: damaged at byte \d+: /);
    const json = await dozo(['device', 'verify', path, '--json']);
    expect(json.status).toBe(5);
    expect(JSON.parse(json.output)).toMatchObject({
      path,
      corrupt: { offset: expect.any(Number) as number, reason: expect.any(String) as string },
    });
    expect(await up()).toMatchObject({ status: 4 });
  });

  it('cannot verify what somebody holds, or what is not a device', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { device } = await workplace.ready(daemon);
    expect(await dozo(['device', 'verify', device])).toMatchObject({ status: 3, output: '' });
    await writeFile(path, 'not a device at all');
    expect(await dozo(['device', 'verify', path])).toMatchObject({ status: 4, output: '' });
    expect(await dozo(['device', 'verify', `${path}-missing`])).toMatchObject({ status: 6 });
  });
});

describe('dozo device check --repair', () => {
  /** What is on the device: key and length of the value. */
  async function content(): Promise<string[]> {
    const device = await openFileDevice({ path, mode: 'exclusive' });
    const [clock, random] = [await openSystemClock(), new SystemRandom()];
    const engine = await openEngine({ device, clock, random, holder: claimHolder({}) });
    const rows: string[] = [];
    for await (const { key, value } of engine.scan({})) {
      rows.push(`${Buffer.from(key).toString()}: ${value?.length ?? 0}`);
    }
    await engine.close();
    await device.close();
    return rows;
  }

  const repair = (...options: string[]): Promise<Outcome> =>
    dozo(['device', 'check', path, '--repair', ...options]);

  it('drops a value that cannot be read, after it was agreed to, and keeps the rest', async () => {
    await deviceWithValue();
    const bytes = await readFile(path);
    const offset = bytes.indexOf('recognise me recognise me') + 100_000;
    await overwrite(offset, Uint8Array.of((bytes[offset] ?? 0) ^ 1));
    const unsaid = await repair();
    expect(unsaid).toMatchObject({ status: 2 });
    expect(unsaid.errors).toContain('add --yes');
    expect((await dozo(['device', 'check', path])).status).toBe(5);
    const said = await repair('--yes');
    expect(said).toMatchObject({ status: 0 });
    expect(said.output).toContain('would drop:\n  a\\x20key (');
    expect(said.output).toMatch(/Repaired, and checked again:\n.*: no damage/);
    expect((await dozo(['device', 'check', path])).status).toBe(0);
    expect(await content()).toEqual(['last: 10']);
    expect((await repair('--yes')).output).toMatch(/^.*: no damage \(.*\)\n$/);
  });

  it('opens a device again whose log is damaged, with all that is still in it', async () => {
    await deviceWithValue();
    const inside = (await readFile(path)).indexOf('at the end');
    await overwrite(inside - (inside % 4096), Buffer.alloc(16, 0xff));
    expect(await up()).toMatchObject({ status: 4 });
    const said = await repair('--yes', '--json');
    expect(said).toMatchObject({ status: 0 });
    expect(JSON.parse(said.output)).toMatchObject({
      path,
      before: { verdict: 'unopenable', repair: { drops: [], resurfaced: [] } },
      after: { verdict: 'sound' },
    });
    expect(await content()).toEqual(['a key: 307200', 'last: 10']);
  });

  it('puts both superblocks back', async () => {
    await deviceWithValue();
    await overwrite(100, Buffer.alloc(8, 0xff));
    const text = await dozo(['device', 'check', path]);
    expect(text.status).toBe(5);
    expect(text.output).toContain('superblock: ');
    expect(await repair('--yes')).toMatchObject({ status: 0 });
    expect(await content()).toEqual(['a key: 307200', 'last: 10']);
  });

  it('is refused while somebody holds the device, and --yes alone agrees to nothing', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { device } = await workplace.ready(daemon);
    const held = await dozo(['device', 'check', device, '--repair', '--yes']);
    expect(held).toMatchObject({ status: 3, output: '' });
    expect(await dozo(['device', 'check', device, '--yes'])).toMatchObject({ status: 2 });
  });
});

describe('dozo device show', () => {
  it('shows who holds a device while a daemon runs', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { device, pid } = await workplace.ready(daemon);
    const { status, output } = await dozo(['device', 'show', device, '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      path: device,
      sizeBytes: 256 * MIB,
      claims: [{ incarnation: 1, state: 'held', holder: { processId: pid } }],
    });
    expect((await dozo(['device', 'show', device])).output).toContain(`process ${pid} on host`);
  });
});

describe('a damaged superblock', () => {
  it('is refused with the command that puts it back, which does so', async () => {
    await deviceWithValue();
    await overwrite(100, Buffer.alloc(8, 0xff));
    const refused = await up();
    expect(refused.status).toBe(4);
    expect(refused.errors).toContain(`dozo device restore-superblock ${path}`);
    const restored = await dozo(['device', 'restore-superblock', path]);
    expect(restored).toMatchObject({ status: 0 });
    expect(restored.output).toContain('is back from its copy');
    expect((await dozo(['device', 'verify', path])).status).toBe(0);
    const again = await dozo(['device', 'restore-superblock', path]);
    expect(again).toMatchObject({ status: 0 });
    expect(again.output).toContain('nothing was changed');
  });

  it('is never formatted without force, also when its first block is all zeros', async () => {
    await deviceWithValue();
    await overwrite(0, Buffer.alloc(4096));
    expect((await dozo(['device', 'format', path])).status).toBe(4);
    expect((await dozo(['device', 'restore-superblock', path])).status).toBe(0);
  });
});

describe('a device of which a part is missing', () => {
  it('is refused with what is missing', async () => {
    await deviceWithValue();
    await truncate(path, 100 * MIB);
    const { status, errors } = await up();
    expect(status).toBe(4);
    expect(errors).toMatch(/^dozo: .*It was cut short.*\n$/);
  });
});

describe('dozo status', () => {
  it('shows a running daemon, and what its device says when it has stopped', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { endpoint, pid } = await workplace.ready(daemon);
    const running = await dozo(['status', '--data', workplace.data]);
    expect(running.status).toBe(0);
    expect(running.output).toContain(`is serving, process ${pid}`);
    expect(running.output).toContain(endpoint);
    const json = await dozo(['status', '--data', workplace.data, '--json']);
    expect(JSON.parse(json.output)).toMatchObject({ running: true, phase: 'serving', pid });

    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const stopped = await dozo(['status', '--data', workplace.data, '--json']);
    expect(stopped.status).toBe(8);
    expect(JSON.parse(stopped.output)).toMatchObject({
      running: false,
      device: { claims: [{ state: 'released', holder: { processId: pid } }] },
    });
  });

  it('does not believe a runtime file that a killed daemon left behind', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { pid } = await workplace.ready(daemon);
    daemon.child.kill('SIGKILL');
    await daemon.ended;
    const { status, output } = await dozo(['status', '--data', workplace.data]);
    expect(status).toBe(8);
    expect(output).toMatch(/^no daemon runs on /);
    expect(output).toContain(`process ${pid} on host`);
  });

  it('says so when nothing was ever started', async () => {
    const { status, output } = await dozo(['status', '--data', workplace.data]);
    expect(status).toBe(8);
    expect(output).toContain('not started yet?');
  });
});
