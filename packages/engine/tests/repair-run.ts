/**
 * Damages a disk, repairs it, and holds what is there then against what was there before and against what
 * the repair said.
 *
 * What is checked: the repaired device opens and verify finds nothing; each key that was there is there with
 * its value, or the plan says what has become of it; no key is there that was not, unless the plan says
 * so; a second repair has nothing to do.
 */
import {
  DeviceError,
  SeededRandom,
  binaryStringOf,
  compareBytes,
  equalBytes,
  hasCode,
} from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { OperationEvent, SimulatedMedium } from '@dozo/simulator';
import { openEngine, planRepair, repairDevice } from '../src/index.ts';
import type { Engine, RepairPlan } from '../src/index.ts';
import { BLOCK_BYTES } from './rot-run.ts';
import { HOLDER, KIB } from './simulated-engine.ts';

/** A value and the batch that wrote it. */
export interface Known {
  readonly lsn: number;
  readonly value: Uint8Array;
}

export type Content = ReadonlyMap<string, Known>;

let handleCount = 0;

/** Offsets of blocks that a disk cannot read; one that is written can be read again. */
const unreadable = new WeakMap<SimulatedMedium, Set<number>>();

/** From now on no handle of {@link handleOn} can read those blocks of the disk. */
export function breakBlocks(medium: SimulatedMedium, offsets: Iterable<number>): void {
  unreadable.set(medium, new Set([...(unreadable.get(medium) ?? []), ...offsets]));
}

/** A disk in the same state, with the same blocks that cannot be read. */
export function forkOf(medium: SimulatedMedium): SimulatedMedium {
  const fork = medium.fork();
  breakBlocks(fork, unreadable.get(medium) ?? []);
  return fork;
}

function* blocksOf(offset: number, sizeBytes: number): Generator<number> {
  const first = offset - (offset % BLOCK_BYTES);
  for (let block = first; block < offset + sizeBytes; block += BLOCK_BYTES) yield block;
}

/** Makes reads of blocks fail that the disk cannot read. */
function failReads(device: SimulatedDevice, bad: Set<number>): void {
  const check = async (offset: number, into: Uint8Array): Promise<void> => {
    for (const block of blocksOf(offset, into.length)) {
      if (!bad.has(block)) continue;
      await Promise.resolve();
      const detail = {
        code: 'DEVICE_READ_FAILED',
        path: device.path,
        offset,
        cause: 'EIO',
      } as const;
      throw new DeviceError('Reading: a sector is broken.', detail);
    }
  };
  const read = device.read.bind(device);
  const readUncached = device.readUncached.bind(device);
  device.read = async (offset, into) => {
    await check(offset, into);
    await read(offset, into);
  };
  device.readUncached = async (offset, into) => {
    await check(offset, into);
    await readUncached(offset, into);
  };
  const heal = (offset: number, buffers: readonly Uint8Array[]): void => {
    const sizeBytes = buffers.reduce((sum, { length }) => sum + length, 0);
    for (const block of blocksOf(offset, sizeBytes)) bad.delete(block);
  };
  for (const name of ['write', 'writeDurably', 'writeUncached'] as const) {
    const write = device[name].bind(device);
    device[name] = async (offset, buffers) => {
      heal(offset, buffers);
      await write(offset, buffers);
    };
  }
}

export function handleOn(
  medium: SimulatedMedium,
  onOperation?: (event: OperationEvent) => void,
): { readonly device: SimulatedDevice; readonly clock: SimulatedClock } {
  const seed = `repair/${handleCount++}`;
  const clock = new SimulatedClock({ seed });
  const device = new SimulatedDevice(medium, {
    clock,
    seed,
    ...(onOperation === undefined ? {} : { onOperation }),
  });
  const bad = unreadable.get(medium);
  if (bad !== undefined) failReads(device, bad);
  return { device, clock };
}

async function withEngine<Result>(
  medium: SimulatedMedium,
  use: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  const { device, clock } = handleOn(medium);
  const random = new SeededRandom(handleCount);
  const sizes = { memtableBytes: 5 * KIB, cacheBytes: 16 * KIB };
  const engine = await openEngine({ device, clock, random, holder: HOLDER, ...sizes });
  const result = await use(engine);
  device.halt();
  return result;
}

/** All that an engine shows on a copy of the disk. */
export function contentOf(medium: SimulatedMedium): Promise<Content> {
  return withEngine(forkOf(medium), async (engine) => {
    const content = new Map<string, Known>();
    for await (const { key, lsn, value = new Uint8Array(0) } of engine.scan({})) {
      content.set(binaryStringOf(key), { lsn, value });
    }
    return content;
  });
}

/** Repairs; undefined where that is refused because no checkpoint is whole. */
export async function repair(
  medium: SimulatedMedium,
  onOperation?: (event: OperationEvent) => void,
): Promise<{ readonly plan: RepairPlan; readonly isDone: boolean } | undefined> {
  const { device, clock } = handleOn(medium, onOperation);
  const random = new SeededRandom(`repair/${handleCount}`);
  try {
    const agree = (): Promise<boolean> => Promise.resolve(true);
    return await repairDevice({ device, clock, random, holder: HOLDER, agree });
  } catch (error) {
    if (!hasCode(error, 'DEVICE_CORRUPT', 'CLAIM_RING_DAMAGED')) throw error;
    return undefined;
  } finally {
    device.halt();
  }
}

/**
 * Whether a plan says that a key may not show what it showed.
 *
 * @param lsn what it showed; undefined: nothing.
 * @param isThere whether it shows something now: then it must be listed by its name, unless what it showed
 *   was in the log.
 */
function isToldOf(
  plan: RepairPlan,
  key: Uint8Array,
  lsn: number | undefined,
  isThere: boolean,
): boolean {
  const isKey = (other: { readonly key: Uint8Array }): boolean => equalBytes(other.key, key);
  if (plan.dropped.some(isKey) || plan.resurfaced.some(isKey)) return true;
  const isLost = plan.lostKeys.some(
    ({ from, to }) => compareBytes(from, key) <= 0 && compareBytes(key, to) < 0,
  );
  if (isLost && !isThere) return true;
  return plan.logLosses.some(({ lsnFrom, lsnTo = Number.POSITIVE_INFINITY, lostCount }) => {
    if (lostCount === 0) return false;
    return lsn === undefined || (lsnFrom <= lsn && lsn <= lsnTo);
  });
}

/** Throws where what is there now is neither what was there nor what the plan says. */
export function compare(before: Content, after: Content, plan: RepairPlan): void {
  for (const [name, { lsn, value }] of before) {
    const now = after.get(name);
    if (now?.lsn === lsn && equalBytes(now.value, value)) continue;
    const key = Uint8Array.from(name, (character) => character.charCodeAt(0));
    if (isToldOf(plan, key, lsn, now !== undefined)) continue;
    throw new Error(`${name} (${lsn}) is ${now?.lsn ?? 'gone'}, and nobody said so: ${told(plan)}`);
  }
  for (const [name, { lsn }] of after) {
    if (before.has(name)) continue;
    const key = Uint8Array.from(name, (character) => character.charCodeAt(0));
    if (isToldOf(plan, key, undefined, true)) continue;
    throw new Error(`${name} (${lsn}) came back, and nobody said so: ${told(plan)}`);
  }
}

function told(plan: RepairPlan): string {
  const hide = (_name: string, value: unknown): unknown =>
    value instanceof Uint8Array ? binaryStringOf(value) : value;
  return JSON.stringify(plan, hide);
}

/** Repairs a damaged disk and checks what it has become; undefined where that is refused. */
export async function repairAndCheck(
  medium: SimulatedMedium,
  before: Content,
): Promise<RepairPlan | undefined> {
  const dry = forkOf(medium);
  const repaired = await repair(medium);
  if (repaired === undefined) return undefined;
  const { device } = handleOn(dry);
  const planned = await planRepair(device);
  device.halt();
  const lists = ({ dropped, resurfaced, lostKeys, logLosses }: RepairPlan): unknown => ({
    ...{ dropped, resurfaced, lostKeys, logLosses },
  });
  if (told(lists(planned) as RepairPlan) !== told(lists(repaired.plan) as RepairPlan)) {
    throw new Error(`planned ${told(planned)}, done ${told(repaired.plan)}`);
  }
  const damages = await withEngine(forkOf(medium), async (engine) => {
    const report = await engine.verify();
    return report.damages;
  });
  const left = damages.filter(({ reason }) => !reason.startsWith('claim ring'));
  if (left.length > 0) throw new Error(`still damaged: ${JSON.stringify(left)}`);
  compare(before, await contentOf(medium), repaired.plan);
  const again = await repair(forkOf(medium));
  if (again === undefined || again.plan.dropped.length + again.plan.lostKeys.length > 0) {
    throw new Error('a second repair has something to do');
  }
  return repaired.plan;
}
