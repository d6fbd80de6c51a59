/**
 * The table of `docs/operations/exclusion.md`, cell by cell: a second `dozo up` on the same data, with
 * real processes, loop devices, device nodes and mount namespaces. What is expected stands in the page
 * alone. Needs root.
 */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ServerOptions } from './harness/dozo-server.ts';
import { playDoubleStart, type FirstState } from './harness/double-start.ts';
import { KernelObjects, whyNoLoopDevices, whyNoMountNamespaces } from './harness/kernel-objects.ts';
import { readOutcomeTable } from './harness/outcome-table.ts';
import { bindMount, MountNamespace, privateDirectory } from './harness/place.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const SIZE_BYTES = 256 * 1024 * 1024;
/** What a device gets that is formatted without a word about it. */
const LEASE_MS = 5_000;
const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');
const table = readOutcomeTable('docs/operations/exclusion.md', 'The table');
const whyNot = whyNoLoopDevices() ?? whyNoMountNamespaces();
const scratch = new Scratch('exclusion');

/** How the two reach the data, and where it can be looked at when both are gone. */
interface Arrangement {
  readonly first: ServerOptions;
  readonly second: ServerOptions;
  /** Absent where nothing is left. */
  readonly device?: string;
}

interface Ground {
  readonly directory: string;
  readonly kernel: KernelObjects;
}

const arrangements: Readonly<Record<string, (ground: Ground) => Promise<Arrangement>>> = {
  'a file in a private directory of each': ({ directory }) =>
    Promise.resolve({
      first: inPrivate(directory, 'first', { size: String(SIZE_BYTES) }),
      second: inPrivate(directory, 'second', { size: String(SIZE_BYTES) }),
    }),
  'one file through two bind mounts': async ({ directory, kernel }) => {
    const file = await formatted(kernel, scratch.directory(`${directory}/shared`));
    const [firstPath, secondPath] = ['first', 'second'].map((who) =>
      scratch.directory(`${directory}/${who}-mount`),
    ) as [string, string];
    const shared = scratch.join(directory, 'shared');
    return {
      first: inPrivate(directory, 'first', {
        mounts: [bindMount(shared, firstPath)],
        device: join(firstPath, 'disk'),
      }),
      second: inPrivate(directory, 'second', {
        mounts: [bindMount(shared, secondPath)],
        device: join(secondPath, 'disk'),
      }),
      device: file,
    };
  },
  'one block device through two device nodes': async ({ directory, kernel }) => {
    const file = await formatted(kernel, scratch.directory(directory));
    const loop = await kernel.loopDevice(file);
    return {
      first: inPrivate(directory, 'first', {
        device: await kernel.deviceNode(loop, scratch.join(directory, 'first-nodes')),
      }),
      second: inPrivate(directory, 'second', {
        device: await kernel.deviceNode(loop, scratch.join(directory, 'second-nodes')),
      }),
      device: loop,
    };
  },
  'two loop devices on one file': async ({ directory, kernel }) => {
    const file = await formatted(kernel, scratch.directory(directory));
    const device = await kernel.loopDevice(file);
    return {
      first: inPrivate(directory, 'first', { device }),
      second: inPrivate(directory, 'second', { device: await kernel.loopDevice(file) }),
      device: file,
    };
  },
  'a loop device, then its backing file': async ({ directory, kernel }) => {
    const file = await formatted(kernel, scratch.directory(directory));
    const device = await kernel.loopDevice(file);
    return {
      first: inPrivate(directory, 'first', { device }),
      second: inPrivate(directory, 'second', { device: file }),
      device: file,
    };
  },
  'a file, then a loop device on it': async ({ directory, kernel }) => {
    const file = await formatted(kernel, scratch.directory(directory));
    const device = await kernel.loopDevice(file);
    return {
      first: inPrivate(directory, 'first', { device: file }),
      second: inPrivate(directory, 'second', { device }),
      device: file,
    };
  },
};

const states: Readonly<Record<string, FirstState>> = {
  'first alive': { before: () => undefined },
  'first killed': { before: (first) => first.kill() },
  'first stopped': {
    before: (first) => {
      first.suspend();
    },
  },
  'first stopped, then continued': {
    before: (first) => {
      first.suspend();
    },
    after: (first) => {
      first.continue();
    },
  },
};

/** A data directory that only this daemon sees; its log and its ready file lie where the test sees them. */
function inPrivate(
  directory: string,
  who: string,
  more: {
    readonly mounts?: readonly ReturnType<typeof bindMount>[];
    readonly device?: string;
    readonly size?: string;
  },
): ServerOptions {
  const dataDirectory = scratch.directory(`${directory}/data`);
  return {
    dataDirectory,
    runDirectory: scratch.directory(`${directory}/${who}-run`),
    place: new MountNamespace([privateDirectory(dataDirectory), ...(more.mounts ?? [])]),
    ...(more.size === undefined ? {} : { size: more.size }),
    moreArguments: more.device === undefined ? [] : ['--device', more.device],
  };
}

/** A formatted device file `disk` in `directory`. */
async function formatted(kernel: KernelObjects, directory: string): Promise<string> {
  const file = kernel.backingFile(join(directory, 'disk'), SIZE_BYTES);
  await runCommand(process.execPath, [command, 'device', 'format', file]);
  return file;
}

afterAll(() => {
  scratch.remove();
});

test('every row and column of the page is played, and nothing that is not there', () => {
  expect(Object.keys(arrangements)).toEqual(table.rows);
  expect(Object.keys(states)).toEqual(table.columns);
});

describe.skipIf(whyNot !== undefined)(`a second start${whyNot ? ` (${whyNot})` : ''}`, () => {
  for (const [row, arrange] of Object.entries(arrangements)) {
    for (const [column, state] of Object.entries(states)) {
      const expected = table.cell(row, column);
      test.concurrent(`${row}, ${column}: ${expected}`, async ({ expect }) => {
        const kernel = new KernelObjects();
        const directory = `${table.rows.indexOf(row)}-${table.columns.indexOf(column)}`;
        try {
          const arrangement = await arrange({ directory, kernel });
          const result = await playDoubleStart({ ...arrangement, state, leaseMs: LEASE_MS });
          expect(result.lost).toEqual([]);
          expect(result.outcome).toBe(expected);
          expect(result.lastStatus).toBe(0);
          if (expected.startsWith('refused')) expect(result.words).toContain('process ');
          if (arrangement.device !== undefined) {
            const verify = [command, 'device', 'verify', arrangement.device];
            expect(await tryCommand(process.execPath, verify)).toMatchObject({ status: 0 });
          }
          console.log(
            `${row}, ${column}: ${result.outcome} after ${Math.round(result.secondMs)} ms, ` +
              `${result.acknowledgedCount} objects acknowledged, none lost`,
          );
        } finally {
          await kernel.removeAll();
        }
      });
    }
  }
});
