/**
 * Keeps what a process takes of the machine near what it uses: for a daemon that runs for months beside
 * others. Left alone, V8 and the C library keep two to three times as much for a process that writes.
 *
 * - V8 lets its young generation grow to 96 MiB, and the old one to several times what lives in it,
 *   before it collects; the pages that it had then stay in a pool. Here the young generation grows to
 *   what a loaded gateway profits from and no more, and the old one is collected after it has grown by a
 *   half. V8 looks at both limits whenever it collects; `--max-semi-space-size` it reads once, before
 *   the first line of a program runs.
 * - While little is done V8 makes the young generation as small as it can be. Since it must not grow by
 *   itself, it is looked at now and then, and grows again when there is work.
 * - After work has ended the heap is collected once more, in the way that empties the pool of pages.
 * - The C library makes an arena for each thread and keeps in it what was freed, as holes between blocks
 *   that live on. Here threads share one, and large buffers are mapped and unmapped one by one.
 *
 * Where a machine does not know one of these, it is left out.
 *
 * Source: `Heap` and `MemoryController` of V8 13.6; mallopt(3); the figures are those of bench/engine.ts.
 */
import { performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { importKoffi } from './foreign.ts';
import type { ImportForeign } from './foreign.ts';
import { HEAP_GROWTH_PERCENT, MAPPED_BUFFER_BYTES_MIN, YOUNG_GENERATION_BYTES } from './limits.ts';

const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;

/** For how long it may hold the thread in one go, in ms. */
const GROWTH_STEP_MS = 2;
/** Objects that are kept at once while the young generation grows: some MiB of them. */
const KEPT_OBJECTS_MAX = 100_000;
/** Made before it is given up: a tenth of a second. It takes a tenth of them. */
const MADE_OBJECTS_MAX = 2_000_000;
/** Between two looks at the size: some tenths of a millisecond, unless V8 collects just then. */
const OBJECTS_PER_STEP = 4096;

/** How often it is looked whether V8 has made the young generation smaller, in ms. */
const YOUNG_LOOK_INTERVAL_MS = 1000;
/** A process that works so much of the time is one to grow it again for. */
const BUSY_SHARE = 0.25;
/** Looks without work after which the pool of pages is emptied: that takes 20 ms or so. */
const QUIET_LOOKS = 3;

export interface ProcessMemoryOptions {
  /** How often it is looked whether the young generation must grow again, in ms. */
  readonly lookIntervalMs?: number;
  /** For tests: where koffi comes from. */
  readonly importForeign?: ImportForeign;
}

/**
 * Bounds the memory of this process. Called once, before it does much; what it does to V8 holds for threads
 * that are started later too.
 */
export async function boundProcessMemory(options: ProcessMemoryOptions = {}): Promise<void> {
  const { lookIntervalMs = YOUNG_LOOK_INTERVAL_MS, importForeign = importKoffi } = options;
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  setFlagsFromString('--semi-space-growth-factor=1');
  const growth = youngGrowth();
  while (growth.next().done !== true);
  watchWork(lookIntervalMs);
  try {
    const { default: foreign } = await importForeign();
    const mallopt = foreign.load(null).func('int mallopt(int parameter, int value)');
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BUFFER_BYTES_MIN);
    mallopt(M_TRIM_THRESHOLD, MAPPED_BUFFER_BYTES_MIN);
  } catch {
    // Another C library, which has nothing like it: it goes on as it is.
  }
}

/** Looks now and then how much this thread works. */
function watchWork(lookIntervalMs: number): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  let before = performance.eventLoopUtilization();
  let quietLooks = 0;
  let growing: Promise<void> | undefined;
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    quietLooks = utilization > BUSY_SHARE ? 0 : quietLooks + 1;
    if (quietLooks === 0) {
      growing ??= growInSteps().finally(() => {
        growing = undefined;
      });
    }
    if (quietLooks === QUIET_LOOKS) collect({ type: 'major', flavor: 'last-resort' });
  };
  setInterval(look, lookIntervalMs).unref();
}

/** All of it at once holds the thread for 13 ms, and on a machine without time to spare for much longer. */
async function growInSteps(): Promise<void> {
  const growth = youngGrowth();
  let startMs = performance.now();
  while (growth.next().done !== true) {
    if (performance.now() - startMs < GROWTH_STEP_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    startMs = performance.now();
  }
}

/** Bytes that V8 has set aside for young objects in this thread. */
export function youngGenerationBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return space?.space_size ?? 0;
}

/**
 * V8 doubles the young generation when much of it survives: here it does, until there is enough of it. A yield
 * is a place for others to get the thread; until it goes on, V8 keeps the size as it is.
 */
function* youngGrowth(): Generator<undefined, void> {
  let kept: object[] = [];
  for (let made = 0; made < MADE_OBJECTS_MAX; made += OBJECTS_PER_STEP) {
    if (youngGenerationBytes() >= YOUNG_GENERATION_BYTES) break;
    setFlagsFromString('--semi-space-growth-factor=2');
    if (kept.length > KEPT_OBJECTS_MAX) kept = [];
    for (let count = 0; count < OBJECTS_PER_STEP; count++) kept.push({ made, count });
    setFlagsFromString('--semi-space-growth-factor=1');
    yield;
  }
}
