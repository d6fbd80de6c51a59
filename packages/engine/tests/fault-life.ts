/**
 * A small engine with a known content, for tests in which the device fails, lies or rots.
 *
 * What is read is right, or refused with a code that says that something is damaged; anything else is a
 * lie, and throws. See `VersionedMap` for what is right.
 */
import { SeededRandom, binaryStringOf, hasCode } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { OperationEvent, SimulatedMedium } from '@dozo/simulator';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { batchOf } from './engine-features.ts';
import { ValueMaker, drawKeys, drawValueBytes, keyBytesOf } from './model/keys-and-values.ts';
import { VersionedMap } from './model/versioned-map.ts';
import type { Change, FoundRow } from './model/versioned-map.ts';
import { HOLDER, KIB, formattedMedium } from './simulated-engine.ts';

/** What part of the reads the device answers within the call: it has that in memory. */
const CACHED_READ_SHARE = 0.5;
/** What a read says of damage that it met. */
const DAMAGE_CODES = ['VALUE_DAMAGED', 'INDEX_DAMAGED'];
/** What an opening says of damage that it met. */
const REFUSAL_CODES = [
  'SUPERBLOCK_DAMAGED',
  'DEVICE_NOT_DOZO',
  'DEVICE_CORRUPT',
  'DEVICE_NEEDS_REPAIR',
  'CLAIM_RING_DAMAGED',
  'INDEX_DAMAGED',
];

export interface LifeOptions {
  readonly seed: string | number;
  readonly keyCount?: number;
  readonly segmentCount?: number;
  readonly segmentPayloadBytes?: number;
  /** Default 5 KiB; the engine's own when absent and named. */
  readonly memtableBytes?: number;
  readonly valueBytesMax?: number;
  readonly putShare?: number;
  readonly switches?: TestSwitches;
}

export interface OpenedLife {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
}

/** How many keys read as they should, and how many reads told of damage. */
export interface ReadOutcome {
  readonly rightCount: number;
  readonly refusedCount: number;
}

/** See the file comment. */
export class FaultLife {
  readonly map: VersionedMap;
  readonly random: SeededRandom;
  readonly #options: LifeOptions;
  #openCount = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.random = new SeededRandom(`life/${options.seed}`);
    const names = drawKeys(this.random, options.keyCount ?? 60);
    this.map = new VersionedMap(names, names.map(keyBytesOf), new ValueMaker(this.random));
  }

  /** An empty disk of this life's geometry. */
  format(): Promise<SimulatedMedium> {
    const { segmentCount = 16, segmentPayloadBytes = 32 * KIB, seed } = this.#options;
    const clock = new SimulatedClock({ seed });
    const world = { seed, clock, random: new SeededRandom(seed) };
    return formattedMedium(world, { segmentCount, segmentPayloadBytes, ringSlotCount: 4 });
  }

  async open(
    medium: SimulatedMedium,
    onOperation?: (event: OperationEvent) => void,
  ): Promise<OpenedLife> {
    const seed = `${this.#options.seed}/${this.#openCount++}`;
    const clock = new SimulatedClock({ seed });
    const device = new SimulatedDevice(medium, {
      clock,
      seed,
      cachedReadShare: CACHED_READ_SHARE,
      ...(onOperation === undefined ? {} : { onOperation }),
    });
    const { memtableBytes = 5 * KIB } = this.#options;
    const sizes = { memtableBytes, cacheBytes: 16 * KIB };
    const testSwitches = this.#options.switches ?? {};
    const base = { device, clock, random: new SeededRandom(seed), holder: HOLDER, testSwitches };
    return { engine: await openEngine({ ...base, ...sizes }), device };
  }

  /** Opens, or returns `undefined` where that is refused because of damage. */
  async openDamaged(medium: SimulatedMedium): Promise<OpenedLife | undefined> {
    try {
      return await this.open(medium);
    } catch (error) {
      if (!hasCode(error, ...REFUSAL_CODES)) throw error;
      return undefined;
    }
  }

  /** Applies random batches, a few at once; the number of those that `isExpected` errors refused. */
  async write(
    engine: Engine,
    batchCount: number,
    isExpected: (error: unknown) => boolean = () => false,
  ): Promise<number> {
    let left = batchCount;
    let refusedCount = 0;
    const work = async (): Promise<void> => {
      while (left-- > 0)
        if (!(await this.apply(engine, this.changes(), isExpected))) refusedCount++;
    };
    await Promise.all([work(), work(), work()]);
    return refusedCount;
  }

  /** Applies one batch; false where an error that is expected left its outcome unknown. */
  async apply(
    engine: Engine,
    changes: readonly Change[],
    isExpected: (error: unknown) => boolean = () => false,
  ): Promise<boolean> {
    const { batch, operations } = this.map.submit(changes);
    try {
      this.map.acknowledge(batch, await engine.apply(batchOf(operations)));
      return true;
    } catch (error) {
      if (hasCode(error, 'DEVICE_FULL', 'ENGINE_CLOSED')) this.map.refuse(batch);
      if (!isExpected(error)) throw error;
      return false;
    }
  }

  /** The changes of a random batch. */
  changes(): Change[] {
    const { valueBytesMax = 6000, putShare = 0.8, keyCount = 60 } = this.#options;
    const count = this.random.chance(0.8) ? 1 : 1 + this.random.below(4);
    return Array.from({ length: count }, () => {
      const keyIndex = this.random.below(keyCount);
      if (!this.random.chance(putShare)) return { kind: 'delete', keyIndex };
      return { kind: 'put', keyIndex, sizeBytes: drawValueBytes(this.random, valueBytesMax) };
    });
  }

  /** Reads every key one by one, and all in one scan; throws when one of them lies. */
  async readAll(engine: Engine): Promise<ReadOutcome> {
    let rightCount = 0;
    let refusedCount = 0;
    const { names, window } = this.map;
    for (const [keyIndex, name] of names.entries()) {
      try {
        const found = await engine.get(keyBytesOf(name));
        this.map.checkRead(keyIndex, found, { window });
        rightCount++;
      } catch (error) {
        if (!isDamage(error)) throw error;
        refusedCount++;
      }
    }
    if (!(await this.#scanAll(engine))) refusedCount++;
    return { rightCount, refusedCount };
  }

  /** Compares a scan of everything with the map; false when it was broken off because of damage. */
  async #scanAll(engine: Engine): Promise<boolean> {
    const { names, window } = this.map;
    const rows: FoundRow[] = [];
    let isWhole = true;
    try {
      for await (const { key, lsn, sizeBytes, value } of engine.scan({})) {
        const row = { name: binaryStringOf(key), lsn, sizeBytes };
        rows.push(value === undefined ? row : { ...row, value });
      }
    } catch (error) {
      if (!isDamage(error)) throw error;
      isWhole = false;
    }
    const limit = isWhole ? Number.POSITIVE_INFINITY : rows.length;
    this.map.checkRows(rows, { from: 0, to: names.length, isReverse: false, limit }, window);
    return isWhole;
  }
}

/** Whether an error says that something on the device is damaged. */
export function isDamage(error: unknown): boolean {
  return hasCode(error, ...DAMAGE_CODES);
}

/** What lies in a block of a device, as far as its first bytes tell. */
export function blockKindOf(
  medium: SimulatedMedium,
  offset: number,
  area: { readonly ringOffset: number; readonly areaOffset: number; readonly strideBytes: number },
): string {
  if (offset < area.ringOffset) return 'superblock';
  if (offset === area.areaOffset - 4096) return 'superblock copy';
  if (offset < area.areaOffset) return 'ring';
  const segmentOffset = offset - ((offset - area.areaOffset) % area.strideBytes);
  const magic = binaryStringOf(medium.peek(segmentOffset, 8));
  if (offset === segmentOffset) return `header of ${magic}`;
  const head = binaryStringOf(medium.peek(offset, 4));
  if (head !== 'DZGR') return `inside of ${magic}`;
  // The first record's type tells what the group is for.
  const type = medium.peek(offset + 64 + 4, 1)[0] ?? 0;
  return `group of ${['?', 'put', 'delete', 'manifest', 'page', 'delete-range'][type] ?? 'other'}`;
}
