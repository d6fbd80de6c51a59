/**
 * The second table of `docs/operations/exclusion.md`: two real containers on one device, each with
 * mount, pid and network namespaces of its own, a data directory of its own, and the device passed in
 * as a node of its own or as a file in a directory of the host. This is how the accident happens that
 * Dozo exists to prevent. Needs root, `runc` and loop devices.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container, makeRootFileSystem, whyNoContainers } from './harness/container.ts';
import type { ServerOptions } from './harness/dozo-server.ts';
import { playDoubleStart, type FirstState } from './harness/double-start.ts';
import { KernelObjects, whyNoLoopDevices } from './harness/kernel-objects.ts';
import { readOutcomeTable } from './harness/outcome-table.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const SIZE_BYTES = 256 * 1024 * 1024;
/** What a device gets that is formatted without a word about it. */
const LEASE_MS = 5_000;
const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');
const table = readOutcomeTable('docs/operations/exclusion.md', 'In containers');
const whyNot = whyNoContainers() ?? whyNoLoopDevices();
const scratch = new Scratch('containers');
let rootFileSystem = '';

/** What the first and the second container are given. */
interface Passed {
  readonly first: { readonly device: string } | { readonly volume: string };
  readonly second: Passed['first'];
}

const arrangements: Readonly<
  Record<string, (kernel: KernelObjects, file: string) => Promise<Passed>>
> = {
  'a device node of its own in each, for one block device': async (kernel, file) => {
    const device = await kernel.loopDevice(file);
    return { first: { device }, second: { device } };
  },
  'a file in one directory of the host, mounted into both': (_kernel, file) => {
    const volume = join(file, '..');
    return Promise.resolve({ first: { volume }, second: { volume } });
  },
  'a device node in each, for two loop devices on one file': async (kernel, file) => ({
    first: { device: await kernel.loopDevice(file) },
    second: { device: await kernel.loopDevice(file) },
  }),
};

const states: Readonly<Record<string, (first: Container) => FirstState>> = {
  'first alive': () => ({ before: () => undefined }),
  'first killed': () => ({ before: (server) => server.kill() }),
  'first frozen, then thawed': (first) => ({
    before: () => first.freeze(),
    after: () => first.thaw(),
  }),
};

interface Ground {
  readonly directory: string;
  readonly kernel: KernelObjects;
}

function makeContainer({ directory, kernel }: Ground, who: string, passed: object): Container {
  const container = new Container({
    name: `dozo-e2e-${process.pid}-${directory}-${who}`,
    rootFileSystem,
    bundle: scratch.directory(`${directory}/${who}-bundle`),
    runDirectory: scratch.directory(`${directory}/${who}-run`),
    ...passed,
  });
  kernel.onRemoval(() => container.remove());
  return container;
}

function daemonIn(container: Container, { directory }: Ground, who: string): ServerOptions {
  return {
    dataDirectory: Container.dataDirectory,
    runDirectory: scratch.join(directory, `${who}-run`),
    place: container,
    moreArguments: ['--device', container.disk],
  };
}

beforeAll(() => {
  if (whyNot === undefined) rootFileSystem = makeRootFileSystem(scratch.directory('root'));
});

afterAll(() => {
  scratch.remove();
});

test('every row and column of the page is played, and nothing that is not there', () => {
  expect(Object.keys(arrangements)).toEqual(table.rows);
  expect(Object.keys(states)).toEqual(table.columns);
});

describe.skipIf(whyNot !== undefined)(`in containers${whyNot ? ` (${whyNot})` : ''}`, () => {
  for (const [row, arrange] of Object.entries(arrangements)) {
    for (const [column, stateOf] of Object.entries(states)) {
      const expected = table.cell(row, column);
      test.concurrent(`${row}, ${column}: ${expected}`, async ({ expect }) => {
        const kernel = new KernelObjects();
        const directory = `${table.rows.indexOf(row)}-${table.columns.indexOf(column)}`;
        const ground = { directory, kernel };
        try {
          const file = kernel.backingFile(
            join(scratch.directory(`${directory}/volume`), 'disk'),
            SIZE_BYTES,
          );
          await runCommand(process.execPath, [command, 'device', 'format', file]);
          const passed = await arrange(kernel, file);
          const first = makeContainer(ground, 'first', passed.first);
          const second = makeContainer(ground, 'second', passed.second);
          const result = await playDoubleStart({
            first: daemonIn(first, ground, 'first'),
            second: daemonIn(second, ground, 'second'),
            state: stateOf(first),
            leaseMs: LEASE_MS,
          });
          expect(result.lost).toEqual([]);
          expect(result.outcome).toBe(expected);
          expect(result.lastStatus).toBe(0);
          if (expected.startsWith('refused')) expect(result.words).toContain(first.name);
          const verify = [command, 'device', 'verify', file];
          expect(await tryCommand(process.execPath, verify)).toMatchObject({ status: 0 });
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
