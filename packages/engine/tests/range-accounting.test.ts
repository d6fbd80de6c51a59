/**
 * What a start counts as alive, where range deletes and deletes of their keys cross flushes and crashes.
 *
 * The settling before the fence looks up single entries alone. So after it, each log segment must be
 * charged with what is visible in it and with what the range deletes of the memtable hide, no more and
 * no less: the flush takes those off, as a whole.
 */
import { binaryStringOf } from '@dozo/base';
import type { SeededRandom } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { expect, test } from 'vitest';
import type { Catalog } from '../src/catalog.ts';
import { newCounters } from '../src/counters.ts';
import { openEngine } from '../src/index.ts';
import type { Operation } from '../src/index.ts';
import { LogSource } from '../src/log-walk.ts';
import { openRing } from '../src/open-engine.ts';
import { UNPACED } from '../src/pacer.ts';
import { readSuperblock } from '../src/read-superblock.ts';
import { recordBytesOf } from '../src/record.ts';
import { recover } from '../src/recovery.ts';
import { Settler } from '../src/settler.ts';
import { TreeAccess } from '../src/tree-access.ts';
import { ENTRY_POINTER, TreeEntry } from '../src/tree/tree-entry.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { SMALL_TREE } from './engine-features.ts';
import { HOLDER, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const keyOf = (index: number): Uint8Array => bytes(`k${String(index).padStart(3, '0')}`);

function draw(random: SeededRandom): Operation {
  const key = keyOf(random.below(80));
  if (random.chance(0.12)) {
    const from = random.below(79);
    const to = from + 1 + random.below(Math.min(25, 80 - from));
    return { kind: 'delete-range', from: keyOf(from), to: keyOf(to) };
  }
  if (random.chance(0.15)) return { kind: 'delete', key };
  return { kind: 'put', key, value: random.bytes(random.chance(0.7) ? 900 : 80) };
}

/** Writes, and is cut off. */
async function life(world: World, medium: SimulatedMedium, count: number): Promise<void> {
  const seed = world.random.below(1e9);
  const { clock, random } = world;
  const device = new SimulatedDevice(medium, { clock, seed });
  const engine = await openEngine({ device, clock, random, holder: HOLDER, ...SMALL_TREE });
  for (let index = 0; index < count; index++) await engine.apply([draw(random)]);
  device.halt();
}

/** By ordinal: what segments are charged with, and what they should be. */
interface Accounts {
  readonly charged: unknown;
  readonly right: unknown;
  readonly hiddenBytes: number;
  readonly rangeCount: number;
}

/**
 * Of a start after its settling; after another range delete, over entries that are settled; and after
 * deletes that come twice, with a settling in between.
 */
async function accountsOf(
  world: World,
  medium: SimulatedMedium,
  switches: TestSwitches = {},
): Promise<Accounts[]> {
  const { clock } = world;
  const device = new SimulatedDevice(medium, { clock, seed: 'look', access: 'read-only' });
  const superblock = await readSuperblock(device);
  const { ring } = await openRing(device, superblock);
  const { catalog } = await recover(device, superblock, {
    from: ring.newestWithCheckpoint,
    switches,
  });
  const tree = new TreeAccess({
    ...{ catalog, source: new LogSource(device, superblock.geometry), cacheBytes: 1e6 },
    ...{ counters: newCounters(), switches: {}, breathe: () => Promise.resolve() },
  });
  const settler = new Settler({ catalog, tree, pacer: UNPACED });
  await settler.settle(catalog.active);
  const before = await compare(catalog, tree, settler);
  catalog.deleteRange('k020', 'k060');
  const between = await compare(catalog, tree, settler);
  for (const lsn of [1e6, 1e6 + 1]) {
    for (let index = 0; index < 20; index++) {
      catalog.set(binaryStringOf(keyOf(index)), TreeEntry.delete(lsn));
    }
    await settler.settle(catalog.active);
  }
  return [before, between, await compare(catalog, tree, settler)];
}

async function compare(catalog: Catalog, tree: TreeAccess, settler: Settler): Promise<Accounts> {
  const right = new Map<number, number>();
  for await (const rows of tree.frozen().entries({ from: '', reverse: false })) {
    for (const { key, entry } of rows) {
      if (entry.kind !== ENTRY_POINTER) continue;
      const sizeBytes = recordBytesOf(key.length, entry.valueBytes);
      right.set(entry.ordinal, (right.get(entry.ordinal) ?? 0) + sizeBytes);
    }
  }
  let hiddenBytes = 0;
  for (const [ordinal, sizeBytes] of (await settler.rangeShadows(catalog.active)).pointers) {
    right.set(ordinal, (right.get(ordinal) ?? 0) + sizeBytes);
    hiddenBytes += sizeBytes;
  }
  const charged = new Map<number, number>();
  for (const { ordinal, liveBytes } of catalog.segments.rows()) {
    if (liveBytes > 0) charged.set(ordinal, liveBytes);
  }
  const rangeCount = catalog.active.memtable.ranges.size;
  const sorted = (map: ReadonlyMap<number, number>): unknown =>
    [...map].sort(([left], [other]) => left - other);
  return { charged: sorted(charged), right: sorted(right), hiddenBytes, rangeCount };
}

test('after its settling a start charges each segment with what it shows and what ranges hide', async () => {
  let hiddenBytes = 0;
  let rangeCount = 0;
  for (let seed = 0; seed < 6; seed++) {
    const world = newWorld(`range accounting ${String(seed)}`);
    const medium = await formattedMedium(world);
    for (let turn = 0; turn < 8; turn++) {
      await life(world, medium, 5 + world.random.below(60));
      const [first, ...more] = await accountsOf(world, medium);
      for (const { charged, right } of [first, ...more].filter((one) => one !== undefined)) {
        expect(charged, `seed ${String(seed)}, turn ${String(turn)}`).toEqual(right);
      }
      hiddenBytes += first?.hiddenBytes ?? 0;
      rangeCount += first?.rangeCount ?? 0;
    }
  }
  // Otherwise it was no test of range deletes.
  expect(rangeCount).toBeGreaterThan(20);
  expect(hiddenBytes).toBeGreaterThan(10_000);
});

test('a death that is counted twice is noticed', async () => {
  const world = newWorld('counted twice');
  const medium = await formattedMedium(world);
  await life(world, medium, 60);
  const { charged, right } = (await accountsOf(world, medium, { settleTwice: true }))[2] ?? {};
  expect(charged).not.toEqual(right);
});
