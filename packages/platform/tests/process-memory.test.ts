/** Processes whose memory is bounded, beside some whose is not. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import { YOUNG_GENERATION_BYTES } from '../src/limits.ts';
import { boundProcessMemory } from '../src/process-memory.ts';

const CHILD = join(import.meta.dirname, 'memory-child.ts');
const MIB = 1024 ** 2;

async function run(action: string, isBounded: boolean): Promise<number[]> {
  const bound = isBounded ? 'bounded' : 'free';
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, action, bound]);
  return JSON.parse(stdout) as number[];
}

describe('boundProcessMemory', () => {
  it('keeps young objects within their bound, which they pass otherwise', async () => {
    const [bounded = 0] = await run('work', true);
    const [free = 0] = await run('work', false);
    // Pages that were just promoted are still counted at times.
    expect(bounded).toBeLessThanOrEqual(2 * YOUNG_GENERATION_BYTES);
    expect(free).toBeGreaterThan(2 * YOUNG_GENERATION_BYTES);
  });

  it('gives a process that works the room for young objects back that V8 took from it', async () => {
    const [before, shrunk, after] = await run('shrink', true);
    expect(before).toBe(YOUNG_GENERATION_BYTES);
    expect(shrunk).toBeLessThan(YOUNG_GENERATION_BYTES);
    expect(after).toBe(YOUNG_GENERATION_BYTES);
  });

  it('gives back what objects had that are gone when work has ended, which is kept otherwise', async () => {
    const [bounded = 0] = await run('rest', true);
    const [free = 0] = await run('rest', false);
    expect(bounded).toBeGreaterThan(8 * MIB);
    expect(free).toBeLessThan(4 * MIB);
  });

  it('gives large buffers back to the machine, which are kept otherwise', async () => {
    const [bounded = 0] = await run('holes', true);
    const [free = 0] = await run('holes', false);
    expect(bounded).toBeLessThan(16 * MIB);
    expect(free).toBeGreaterThan(32 * MIB);
  });

  it('goes on where the C library cannot be called', async () => {
    const importForeign = (): Promise<never> => Promise.reject(new Error('no such package'));
    await expect(boundProcessMemory({ importForeign })).resolves.toBeUndefined();
  });
});
