/**
 * `dozo up --wait`: the replacement is started while the first daemon still runs, tells whom it waits
 * for, and serves when that one is gone, in whatever way. Needs root.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { KernelObjects, whyNoLoopDevices } from './harness/kernel-objects.ts';
import { ObjectLedger } from './harness/object-ledger.ts';
import { runCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const SIZE_BYTES = 256 * 1024 * 1024;
const WORDS_STEP_MS = 10;
const WORDS_STEPS_MAX = 6_000;
const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');
const whyNot = whyNoLoopDevices();
const scratch = new Scratch('wait');

afterAll(() => {
  scratch.remove();
});

/** Until a daemon that does not serve yet has logged something. */
async function waitForWords(logPath: string, words: string): Promise<void> {
  for (let step = 0; step < WORDS_STEPS_MAX; step += 1) {
    if (existsSync(logPath) && readFileSync(logPath, 'utf8').includes(words)) return;
    await sleep(WORDS_STEP_MS);
  }
  throw new Error(`The daemon does not say "${words}".`);
}

type Paths = readonly [first: string, second: string];

const ways: readonly {
  readonly way: string;
  readonly paths: (kernel: KernelObjects, file: string) => Promise<Paths>;
  /** What the second one says while the first one holds the device. */
  readonly waiting: string;
}[] = [
  {
    way: 'a device node of its own',
    paths: async (kernel, file) => {
      const loop = await kernel.loopDevice(file);
      return [loop, await kernel.deviceNode(loop, `${file}-nodes`)];
    },
    waiting: 'waiting for the device',
  },
  {
    way: 'a second loop device',
    paths: async (kernel, file) => [await kernel.loopDevice(file), await kernel.loopDevice(file)],
    waiting: 'the device is held; waiting for its holder to end',
  },
];

const ends: Readonly<Record<string, (first: DozoServer) => Promise<unknown>>> = {
  'is stopped clean': (first) => first.stop(),
  'is killed': (first) => first.kill(),
};

describe.skipIf(whyNot !== undefined)(`waiting${whyNot ? ` (${whyNot})` : ''}`, () => {
  for (const { way, paths, waiting } of ways) {
    for (const [end, endFirst] of Object.entries(ends)) {
      test.concurrent(`through ${way}, until the first one ${end}`, async ({ expect }) => {
        const kernel = new KernelObjects();
        try {
          const name = `${way}-${end}`.replaceAll(' ', '-');
          const file = kernel.backingFile(scratch.join(name), SIZE_BYTES);
          await runCommand(process.execPath, [command, 'device', 'format', file]);
          const [firstPath, secondPath] = await paths(kernel, file);
          const first = await DozoServer.start({
            dataDirectory: scratch.directory(`${name}-first`),
            moreArguments: ['--device', firstPath],
          });
          kernel.onRemoval(() => first.kill());
          const firstPid = first.pid;
          const ledger = new ObjectLedger('waited');
          await ledger.begin(first);
          ledger.beginLoad(first);
          const dataDirectory = scratch.directory(`${name}-second`);
          const moreArguments = ['--device', secondPath, '--wait'];
          const starting = DozoServer.start({ dataDirectory, moreArguments });
          await waitForWords(join(dataDirectory, 'e2e.log'), waiting);
          await endFirst(first);
          await ledger.endLoad();
          const second = await starting;
          kernel.onRemoval(() => second.kill());
          expect(await ledger.missingOn(second)).toEqual([]);
          expect(ledger.acknowledgedCount).toBeGreaterThan(0);
          expect(await ledger.write(second, 3)).toBe(3);
          // Whom it waited for stands in the log: host and process.
          expect(second.words()).toContain(`process ${firstPid} `);
          expect(await second.stop()).toBe(0);
        } finally {
          await kernel.removeAll();
        }
      });
    }
  }
});

test('waiting can be ended by a signal, with nothing changed', async () => {
  const dataDirectory = scratch.directory('file');
  const first = await DozoServer.start({ dataDirectory, size: '256MiB' });
  const runDirectory = scratch.directory('file-second');
  const second = DozoServer.begin({ dataDirectory, runDirectory, moreArguments: ['--wait'] });
  await waitForWords(join(runDirectory, 'e2e.log'), 'waiting for the device');
  expect(await second.interrupt()).toBe(0);
  const ledger = new ObjectLedger('still');
  await ledger.begin(first);
  expect(await ledger.write(first, 3)).toBe(3);
  expect(await first.stop()).toBe(0);
});
