/**
 * A raw block device (a loop device here): formatted by hand only, never when anything is on it; then
 * the same engine and the same format as on a file. Needs root and loop devices.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { randomBytesOf } from './harness/random-bytes.ts';
import { sha256OfFile } from './harness/file-tree.ts';
import { signedExchange } from './harness/raw-http.ts';
import { runCommand, tryCommand, type CommandResult } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const EXIT_DEVICE_HELD = 3;
const EXIT_DEVICE_REFUSED = 4;
const SIZE_BYTES = 1024 * 1024 * 1024;
const canMakeLoopDevices = process.getuid?.() === 0 && existsSync('/dev/loop-control');
const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');

function dozo(...args: readonly string[]): Promise<CommandResult> {
  return tryCommand(process.execPath, [command, ...args], { timeoutMs: 120_000 });
}

describe.runIf(canMakeLoopDevices)('on a loop device', () => {
  const scratch = new Scratch('block-device');
  const backing = scratch.join('backing');
  let device = '';

  const up = (path = device): Promise<DozoServer> =>
    DozoServer.start({
      dataDirectory: scratch.directory('data'),
      moreArguments: ['--device', path],
    });
  const upIsRefused = (path: string): Promise<CommandResult> =>
    dozo(
      ...['up', '--data', scratch.directory('other'), '--device', path],
      ...['--port', '0', '--health-port', '0'],
    );

  beforeAll(async () => {
    writeFileSync(backing, '');
    truncateSync(backing, SIZE_BYTES);
    device = (await runCommand('losetup', ['--find', '--show', backing])).trim();
  });

  afterAll(async () => {
    await runCommand('losetup', ['--detach', device]);
    scratch.remove();
  });

  test('a device that was never formatted is refused, and left as it is', async () => {
    const before = await sha256OfFile(backing);
    const refused = await upIsRefused(device);
    expect(refused.status).toBe(EXIT_DEVICE_REFUSED);
    expect(refused.stdout + refused.stderr).toContain('dozo device format');
    expect(await sha256OfFile(backing)).toBe(before);
  });

  test('a device with a file system is not formatted, and is left as it is', async () => {
    await runCommand('/usr/sbin/mkfs.ext4', ['-q', device]);
    const before = await sha256OfFile(backing);
    const refused = await dozo('device', 'format', device);
    expect(refused.status).toBe(EXIT_DEVICE_REFUSED);
    expect(refused.stdout + refused.stderr).toContain('ext4');
    expect(await sha256OfFile(backing)).toBe(before);
  });

  test('formatted by force it serves, survives a kill, and a second opener is refused', async () => {
    const formatted = await dozo('device', 'format', device, '--force', '--yes');
    expect(formatted.status).toBe(0);
    const server = await up();
    const body = randomBytesOf('block', 60_000).toString('hex');
    expect((await signedExchange(server, { method: 'PUT', path: '/block' })).status).toBe(200);
    expect((await signedExchange(server, { method: 'PUT', path: '/block/key' }, body)).status).toBe(
      200,
    );
    const second = await upIsRefused(device);
    expect(second.status).toBe(EXIT_DEVICE_HELD);
    expect(second.stdout + second.stderr).toContain(String(server.pid));
    await server.kill();
    await server.start();
    const back = await signedExchange(server, { method: 'GET', path: '/block/key' });
    expect(back.text.endsWith(body)).toBe(true);
    expect(await server.stop()).toBe(0);
    const verified = await dozo('device', 'verify', device);
    expect(verified.status).toBe(0);
  });

  test('a flipped bit is found by verify, and never given to a reader', async () => {
    const EXIT_DAMAGE_FOUND = 5;
    const marker = Buffer.from('a marker that is easy to find on the device');
    const body = Buffer.concat([marker, randomBytesOf('rot', 40_000)]);
    const server = await up();
    const put = { method: 'PUT', path: '/block/rotten' };
    expect((await signedExchange(server, put, body)).status).toBe(200);
    const later = { method: 'PUT', path: '/block/later' };
    expect((await signedExchange(server, later, 'later')).status).toBe(200);
    expect(await server.stop()).toBe(0);
    flipBitAt(backing, findOn(backing, marker) + marker.length + 1_000);
    expect((await dozo('device', 'verify', device)).status).toBe(EXIT_DAMAGE_FOUND);
    await server.start();
    const answer = await signedExchange(server, { method: 'GET', path: '/block/rotten' });
    expect([answer.status, answer.code]).toEqual([500, 'InternalError']);
    const healthy = await signedExchange(server, { method: 'GET', path: '/block/key' });
    expect(healthy.status).toBe(200);
    expect(await server.stop()).toBe(0);
  });
});

/** Where bytes stand in a file; the last time, if they do so more than once. */
function findOn(path: string, wanted: Buffer): number {
  const file = openSync(path, 'r');
  const block = Buffer.alloc(16 * 1024 * 1024);
  let foundAt = -1;
  for (let offset = 0; offset < SIZE_BYTES; offset += block.length - wanted.length) {
    const sizeBytes = readSync(file, block, 0, block.length, offset);
    const at = block.subarray(0, sizeBytes).lastIndexOf(wanted);
    if (at >= 0) foundAt = offset + at;
  }
  closeSync(file);
  if (foundAt < 0) throw new Error('The bytes are not on the device.');
  return foundAt;
}

function flipBitAt(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 1;
  writeSync(file, byte, 0, 1, offset);
  closeSync(file);
}
