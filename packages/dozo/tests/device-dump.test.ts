/** `dozo device dump`, on a device file, closed and in use. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openEngine } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { claimHolder } from '../src/composition/claim-holder.ts';
import { dozo } from './command-line.ts';
import { SIZE, Workplace } from './dozo-process.ts';

interface DumpedDevice {
  readonly superblocks: readonly { readonly reading: { readonly kind: string } }[];
  readonly ring: { readonly claims: readonly { readonly state: string }[] };
  readonly recoverFrom: number;
  readonly checkpoint: { readonly segment: number };
  readonly manifest: { readonly nextLsn: number };
  readonly tree: {
    readonly levels: readonly { readonly tableCount: number }[];
    readonly tables: readonly {
      readonly number: number;
      readonly level: number;
      readonly run: number;
      readonly segment: number;
      readonly offset: number;
      readonly deviceOffset: number;
    }[];
    readonly tablesLeftOut: number;
  };
  readonly segments: readonly { readonly content: string; readonly segment: number }[];
}

interface DumpedItem {
  readonly kind: string;
  readonly offset: number;
  readonly isInSequence?: boolean;
  readonly records?: readonly {
    readonly type: string;
    readonly key: string;
    readonly valueBytes: number;
    readonly isValueIntact: boolean;
  }[];
}

let workplace: Workplace;
let path: string;

beforeEach(async () => {
  workplace = new Workplace();
  path = join(workplace.directory, 'device');
  await dozo(['device', 'format', path, '--size', SIZE]);
});

afterEach(async () => {
  await workplace.clear();
});

/** Two uses by two claims: the second one begins a segment of its own. */
async function used(): Promise<void> {
  for (const round of [1, 2]) {
    const device = await openFileDevice({ path, mode: 'exclusive' });
    const [clock, random] = [await openSystemClock(), new SystemRandom()];
    const engine = await openEngine({ device, clock, random, holder: claimHolder({}) });
    const value = Buffer.alloc(300_000, 'a secret value ');
    await engine.apply([{ kind: 'put', key: Buffer.from(`key ${String(round)}`), value }]);
    await engine.apply([{ kind: 'delete', key: Buffer.from('none') }]);
    await engine.close();
    await device.close();
  }
}

async function dumpDevice(): Promise<DumpedDevice> {
  const { status, output } = await dozo(['device', 'dump', path, '--json']);
  expect(status).toBe(0);
  return JSON.parse(output) as DumpedDevice;
}

async function dumpSegment(segment: number): Promise<readonly DumpedItem[]> {
  const args = ['device', 'dump', path, '--segment', String(segment), '--json'];
  const { output } = await dozo(args);
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as DumpedItem);
}

it('shows superblocks, ring, manifest and segments, and the same as text', async () => {
  const empty = await dozo(['device', 'dump', path]);
  expect(empty.output).toContain('no checkpoint: never used');
  expect(empty.output).toMatch(/segments: \d+\n {2}0 to \d+: zeros\n$/);
  await used();
  const dump = await dumpDevice();
  expect(dump.superblocks.map(({ reading }) => reading.kind)).toEqual(['valid', 'valid']);
  expect(dump.ring.claims.map(({ state }) => state)).toEqual(['released', 'released']);
  expect(dump.recoverFrom).toBe(2);
  expect(dump.manifest.nextLsn).toBeGreaterThan(2);
  expect(dump.segments[dump.checkpoint.segment]?.content).toBe('log');
  const { output } = await dozo(['device', 'dump', path]);
  expect(output).toContain('checkpoint of claim 2\n');
  expect(output).toMatch(/: log, ordinal \d+, claim 1, first of its claim\n/);
});

it('walks a segment: groups, records with their keys, no values; damage shows', async () => {
  await used();
  const { segment } = (await dumpDevice()).checkpoint;
  const items = await dumpSegment(segment);
  expect(items[0]).toMatchObject({ kind: 'segment', content: 'log' });
  const records = items.flatMap((item) => item.records ?? []);
  expect(records).toContainEqual(
    expect.objectContaining({
      type: 'put',
      key: 'key\\x202',
      valueBytes: 300_000,
      isValueIntact: true,
    }),
  );
  expect(records.some(({ type, key }) => type === 'delete' && key === 'none')).toBe(true);
  expect(records.some(({ type }) => type === 'manifest')).toBe(true);
  expect(items.slice(1).every(({ isInSequence }) => isInSequence === true)).toBe(true);
  const bytes = await readFile(path);
  const file = await open(path, 'r+');
  await file.write('X', bytes.lastIndexOf('a secret value '));
  await file.close();
  const { output } = await dozo(['device', 'dump', path, '--segment', String(segment)]);
  expect(output).toMatch(/put key\\x202, LSN \d+, 300000 bytes, VALUE DAMAGED\n/);
  expect(output).not.toContain('secret');
});

it('shows the tree: its levels, and which tables count and where they lie', async () => {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  const [clock, random] = [await openSystemClock(), new SystemRandom()];
  const sizes = { memtableBytes: 64 * 1024, cacheBytes: 1024 * 1024 };
  const engine = await openEngine({ device, clock, random, holder: claimHolder({}), ...sizes });
  const value = Buffer.alloc(100, 'a secret value ');
  for (let batch = 0; batch < 10; batch++) {
    const puts = Array.from({ length: 200 }, (_, index) => ({
      kind: 'put' as const,
      key: Buffer.from(`key ${String(batch * 200 + index).padStart(100, '0')}`),
      value,
    }));
    await engine.apply(puts);
  }
  await engine.close();
  await device.close();

  const { tree, segments } = await dumpDevice();
  const [table] = tree.tables;
  if (table === undefined) throw new Error('there are tables');
  expect(tree).toMatchObject({ damagedPages: [], tablesLeftOut: 0 });
  expect(tree.levels.reduce((sum, { tableCount }) => sum + tableCount, 0)).toBe(tree.tables.length);
  expect(segments[table.segment]).toMatchObject({ content: 'tables' });

  const { output } = await dozo(['device', 'dump', path]);
  expect(output).toMatch(/\ntree of checkpoint \d+\n {2}level \d, run 0\n {4}table \d+: segment /);
  expect(output).toContain(
    `table ${table.number}: segment ${table.segment} at ${table.offset}, bytes ${table.deviceOffset} to`,
  );
  expect(output).toMatch(/\n {8}from key\\x20|\n {6}from key\\x20/);
  expect(output).toMatch(/\.\.\. \(\d+ bytes\)\n/);
  expect(output).toMatch(/\n {2}level \d: 1 run, \d+ tables?, [\d.]+ KiB\n/);
  expect(output).toMatch(/: tables, opened for table \d+, claim 1\n/);
  expect(output).not.toContain('secret');

  const few = await dozo(['device', 'dump', path, '--tables', '0']);
  expect(few.output).toMatch(/\n {2}and \d+ more tables?; --tables N lists so many\n/);
  expect(few.output).not.toContain('bytes of the device');
  const inSegment = await dozo(['device', 'dump', path, '--segment', String(table.segment)]);
  expect(inSegment.output).toContain(
    `in the tree, level ${table.level}, run ${table.run}: table ${table.number}: `,
  );
  expect(inSegment.output).toContain(`${table.offset}  table ${table.number}: `);
});

it('works while a daemon holds the device, and changes nothing', async () => {
  const daemon = workplace.up(['--device', path]);
  await workplace.ready(daemon);
  const dump = await dumpDevice();
  expect(dump.ring.claims[0]?.state).toBe('held');
  expect(dump.recoverFrom).toBe(1);
  expect(await dozo(['device', 'dump', path, '--segment', '0'])).toMatchObject({ status: 0 });
});

it('refuses a segment that there is not, and what is no device', async () => {
  const none = await dozo(['device', 'dump', path, '--segment', '100000']);
  expect(none).toMatchObject({ status: 2, output: '' });
  expect(none.errors).toContain('has no segment 100000');
  expect(await dozo(['device', 'dump', path, '--segment', 'x'])).toMatchObject({ status: 2 });
  expect(await dozo(['device', 'dump', path, '--tables', '-1'])).toMatchObject({ status: 2 });
  expect(await dozo(['device', 'dump', workplace.directory])).toMatchObject({ status: 6 });
});
