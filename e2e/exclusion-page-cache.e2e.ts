/**
 * The page cache of this machine does not know what went to the disk by another path, and shows what
 * never went there at all. Neither may decide what is served. Needs root and loop devices.
 *
 * Each test first proves that the cache is wrong, by reading the same bytes past it; a test without
 * wrong pages would prove nothing. A descriptor of the test's own keeps the pages: the kernel
 * drops those of a block device that nobody has open.
 */
import type { Device } from '@dozo/base';
import { openFileDevice } from '@dozo/platform';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { KernelObjects, whyNoLoopDevices } from './harness/kernel-objects.ts';
import { runCommand } from './harness/run-command.ts';
import { drawSeed } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';
import { SeededDraw } from './harness/seeded-draw.ts';
import {
  formatSmallDevice,
  SMALL_DEVICE_BYTES,
  SMALL_DEVICE_TURN_BATCHES,
  smallDeviceLoad,
} from './harness/small-device.ts';
import { WriteModel } from './harness/write-model.ts';
import { WriterProcess } from './harness/writer-process.ts';
import type { WriterConfiguration } from './harness/writer-protocol.ts';

const BLOCK_BYTES = 4096;
const CONTROL_ATTEMPTS_MAX = 8;
const whyNot = whyNoLoopDevices();
const scratch = new Scratch('page-cache');
const draw = new SeededDraw(drawSeed('page-cache'));
let kernel = new KernelObjects();

afterEach(async () => {
  await kernel.removeAll();
  kernel = new KernelObjects();
});

afterAll(() => {
  scratch.remove();
});

async function startWriter(
  model: WriteModel,
  more: Pick<WriterConfiguration, 'path' | 'name'> & Partial<WriterConfiguration>,
): Promise<WriterProcess> {
  const seed = draw.integer(0, 2 ** 31);
  const configuration = {
    mode: 'exclusive',
    switches: {},
    seed,
    ...smallDeviceLoad,
    ...more,
  } as const;
  const writer = await WriterProcess.start(configuration, (line) => {
    model.hear(line);
  });
  kernel.onRemoval(() => writer.kill());
  return writer;
}

/** Everything wrong with what a process serves, compared with what it must serve. */
async function wrongOn(writer: WriterProcess, model: WriteModel): Promise<string[]> {
  const { rows, broken } = await writer.read();
  const { damages } = await writer.verify();
  return [...broken, ...damages, ...model.adopt(rows)];
}

/** Keeps the pages of a device in the cache until the test is over. */
async function openForGood(path: string): Promise<Device> {
  const device = await openFileDevice({ path, mode: 'read-only' });
  kernel.onRemoval(() => device.close());
  return device;
}

/** Brings all of a device into the page cache. @returns it. */
async function readWhole(device: Device): Promise<Buffer> {
  const bytes = Buffer.alloc(device.sizeBytes);
  await device.read(0, bytes);
  return bytes;
}

/** How many blocks are other ones in the page cache than on the disk. */
async function countWrongPages(device: Device): Promise<number> {
  const [cached, onDisk] = [await readWhole(device), Buffer.alloc(device.sizeBytes)];
  await device.readUncached(0, onDisk);
  let count = 0;
  for (let offset = 0; offset < cached.length; offset += BLOCK_BYTES) {
    const end = offset + BLOCK_BYTES;
    if (!cached.subarray(offset, end).equals(onDisk.subarray(offset, end))) count += 1;
  }
  return count;
}

describe.skipIf(whyNot !== undefined)(`the page cache${whyNot ? ` (${whyNot})` : ''}`, () => {
  /** Writes through one path, with pages of before in the cache of the other. @returns the second path. */
  async function makeStale(model: WriteModel): Promise<{ path: string; reader: Device }> {
    const file = kernel.backingFile(scratch.join('disk'), SMALL_DEVICE_BYTES);
    await formatSmallDevice(file);
    const first = await startWriter(model, { path: await kernel.loopDevice(file), name: 'A' });
    const path = await kernel.loopDevice(file);
    const reader = await openForGood(path);
    first.go();
    // Old pages are to hold records of this very claim, in segments that it uses again later.
    await model.progress(SMALL_DEVICE_TURN_BATCHES / 2);
    await readWhole(reader);
    await model.progress(2 * SMALL_DEVICE_TURN_BATCHES);
    await first.kill();
    return { path, reader };
  }

  test('pages from before another path wrote: a takeover cuts nothing off', async () => {
    const model = new WriteModel();
    const { path, reader } = await makeStale(model);
    const wrongPages = await countWrongPages(reader);
    expect(wrongPages).toBeGreaterThan(SMALL_DEVICE_BYTES / BLOCK_BYTES / 4);
    const second = await startWriter(model, { path, name: 'B' });
    expect(await wrongOn(second, model)).toEqual([]);
    second.go();
    await model.progress(SMALL_DEVICE_TURN_BATCHES);
    await second.kill();
    const restarted = await startWriter(model, { path, name: 'C' });
    expect(await wrongOn(restarted, model)).toEqual([]);
    expect(await restarted.quit()).toBe(0);
    console.log(`page cache: ${wrongPages} stale pages, nothing cut off`);
  });

  test('nor where the cache keeps its pages although it was asked to drop them', async () => {
    const model = new WriteModel();
    const { path, reader } = await makeStale(model);
    expect(await countWrongPages(reader)).toBeGreaterThan(0);
    const second = await startWriter(model, { path, name: 'B', keepsCache: true });
    expect(await wrongOn(second, model)).toEqual([]);
    const { stats } = await second.read();
    expect(stats.staleReadCount).toBeGreaterThan(0);
    expect(await second.quit()).toBe(0);
    console.log(`page cache: ${stats.staleReadCount} reads of stale pages put right`);
  });

  test('the control: a recovery through the page cache loses what was acknowledged', async () => {
    const model = new WriteModel();
    const { path, reader } = await makeStale(model);
    expect(await countWrongPages(reader)).toBeGreaterThan(0);
    const switches = { cachedRecovery: true };
    const outcome = await startWriter(model, { path, name: 'B', switches }).then(
      (second) => wrongOn(second, model),
      (error: unknown) => [String(error)],
    );
    console.log(
      `page cache, control: ${outcome.length} problems; the first: ${outcome[0] ?? 'none'}`,
    );
    expect(outcome).not.toEqual([]);
  });

  /**
   * A writer on a device whose disk is full at half of it, until a flush fails; then there is room again.
   * The pages that could not be written stay in the cache, and nothing says so any more.
   */
  async function failAFlush(
    model: WriteModel,
    diesAtFailure: boolean,
  ): Promise<{ path: string; file: string; reader: Device; wrongPages: number }> {
    const directory = scratch.directory('memory');
    await kernel.memoryFileSystem(directory, SMALL_DEVICE_BYTES / 2);
    const file = kernel.backingFile(`${directory}/disk`, SMALL_DEVICE_BYTES);
    await formatSmallDevice(file);
    const path = await kernel.loopDevice(file);
    kernel.writeSingleBlocks(path);
    const reader = await openForGood(path);
    const first = await startWriter(model, { path, name: 'A', diesAtFailure });
    first.go();
    const { status, last, words } = await first.ownEnd();
    if (diesAtFailure) expect(status).toBe(null);
    else expect(last, words).toMatchObject({ kind: 'ended', how: 'failed' });
    await runCommand('mount', ['-o', `remount,size=${4 * SMALL_DEVICE_BYTES}`, directory]);
    return { path, file, reader, wrongPages: await countWrongPages(reader) };
  }

  /** Starts on the same path, whose cache has the wrong pages, and then on one whose cache has none. */
  async function wrongAfterRestarts(
    model: WriteModel,
    { path, file, reader }: { path: string; file: string; reader: Device },
    switches: WriterConfiguration['switches'],
  ): Promise<string[]> {
    const again = await startWriter(model, { path, name: 'B', switches });
    const wrong = await wrongOn(again, model);
    await again.kill();
    await reader.close();
    // What was served must be on the disk.
    const elsewhere = await startWriter(model, { path: await kernel.loopDevice(file), name: 'C' });
    wrong.push(...(await wrongOn(elsewhere, model)));
    await elsewhere.kill();
    return wrong;
  }

  test.each([
    ['that the holder could note', false],
    ['after which the holder is killed before it notes it', true],
  ])('a failed flush %s: nothing is served that never reached the disk', async (_, isKilled) => {
    const model = new WriteModel();
    const failed = await failAFlush(model, isKilled);
    expect(failed.wrongPages).toBeGreaterThan(0);
    expect(await wrongAfterRestarts(model, failed, {})).toEqual([]);
    console.log(`page cache: ${failed.wrongPages} pages never reached the disk, none was served`);
  });

  test('the control: a recovery through the page cache serves what never reached the disk', async () => {
    let outcome: readonly string[] = [];
    // A group of which only the padding is missing is whole on the disk as well.
    for (let attempt = 0; attempt < CONTROL_ATTEMPTS_MAX && outcome.length === 0; attempt += 1) {
      const model = new WriteModel();
      const failed = await failAFlush(model, true);
      expect(failed.wrongPages).toBeGreaterThan(0);
      outcome = await wrongAfterRestarts(model, failed, { cachedRecovery: true }).catch(
        (error: unknown) => [String(error)],
      );
      await kernel.removeAll();
    }
    console.log(
      `page cache, control: ${outcome.length} problems; the first: ${outcome[0] ?? 'none'}`,
    );
    expect(outcome).not.toEqual([]);
  });
});
