/** Processes whose memory is bounded, beside some whose is not. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import type { ImportForeign } from '../src/foreign.ts';
import { MAPPED_BUFFER_BYTES_MIN, YOUNG_GENERATION_BYTES } from '../src/limits.ts';
import { boundProcessMemory } from '../src/process-memory.ts';

const CHILD = join(import.meta.dirname, 'memory-child.ts');
const MIB = 1024 ** 2;

async function run(action: string, isBounded: boolean): Promise<number[]> {
  const bound = isBounded ? 'bounded' : 'free';
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, action, bound]);
  return JSON.parse(stdout) as number[];
}

// When V8 collects is its own affair, and a busy machine may keep the looks from being taken in time.
describe('boundProcessMemory', { retry: 3 }, () => {
  it('keeps young objects within their bound, which they pass otherwise', async () => {
    const [bounded = 0] = await run('work', true);
    const [free = 0] = await run('work', false);
    // Pages that were just promoted are still counted at times.
    expect(bounded).toBeLessThanOrEqual(2 * YOUNG_GENERATION_BYTES);
    expect(free).toBeGreaterThan(2 * YOUNG_GENERATION_BYTES);
  });

  it('gives a process that works the room for young objects back that V8 took from it', async () => {
    const [before, shrunk, after, sizeCount] = await run('shrink', true);
    expect(before).toBe(YOUNG_GENERATION_BYTES);
    expect(shrunk).toBeLessThan(YOUNG_GENERATION_BYTES);
    expect(after).toBe(YOUNG_GENERATION_BYTES);
    // Not in one go, which would hold the thread.
    expect(sizeCount).toBeGreaterThan(2);
  });

  it('gives back what objects had that are gone when work has ended, which is kept otherwise', async () => {
    const [bounded = 0] = await run('rest', true);
    const [free = 0] = await run('rest', false);
    expect(bounded).toBeGreaterThan(8 * MIB);
    expect(free).toBeLessThan(4 * MIB);
  });

  it('tells the C library to share an arena, and to map large buffers one by one', async () => {
    const settings = new Map<unknown, unknown>();
    const mallopt = (parameter: unknown, value: unknown): Map<unknown, unknown> =>
      settings.set(parameter, value);
    const library = { load: () => ({ func: () => mallopt }) };
    const importForeign = (() => Promise.resolve({ default: library })) as unknown as ImportForeign;
    await boundProcessMemory({ importForeign });
    // M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h.
    expect(settings.get(-8)).toBe(1);
    expect(settings.get(-3)).toBe(MAPPED_BUFFER_BYTES_MIN);
    expect(settings.get(-1)).toBe(MAPPED_BUFFER_BYTES_MIN);
  });

  it('goes on where the C library cannot be called', async () => {
    const importForeign = (): Promise<never> => Promise.reject(new Error('no such package'));
    await expect(boundProcessMemory({ importForeign })).resolves.toBeUndefined();
  });
});
