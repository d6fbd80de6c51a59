/** The process that process-memory.test.ts looks at: does something, and prints how much memory it has. */
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';

import { boundProcessMemory, youngGenerationBytes } from '../src/process-memory.ts';

const [action = '', isBounded = ''] = process.argv.slice(2);
if (isBounded === 'bounded') await boundProcessMemory({ lookIntervalMs: 5 });
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: object) => void;

/** Much of what is made survives for a while. */
function work(): void {
  let kept: object[] = [];
  for (let count = 0; count < 2_000_000; count++) {
    if (kept.length > 300_000) kept = [];
    kept.push({ count, text: `text ${count}` });
  }
}

function residentBytes(): number {
  const status = readFileSync('/proc/self/status', 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

async function shrinkAndWork(): Promise<number[]> {
  const before = youngGenerationBytes();
  collect({ type: 'major', flavor: 'last-resort' });
  const shrunk = youngGenerationBytes();
  for (let turn = 0; turn < 20; turn++) {
    const endMs = performance.now() + 10;
    while (performance.now() < endMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return [before, shrunk, youngGenerationBytes()];
}

/** What there is after work, and when nothing has been done for some looks. */
async function rest(): Promise<number[]> {
  work();
  const before = residentBytes();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return [before - residentBytes()];
}

/** How much more there is after large buffers came and went between small ones that stay. */
function leaveHoles(): number[] {
  const kept: Uint8Array[] = [];
  // The C library of a process that is not bounded learns from these that such buffers come back.
  useLarge(kept);
  collect();
  const before = residentBytes();
  useLarge(kept);
  collect();
  const after = residentBytes();
  if (kept.some((bytes) => bytes[0] !== 1)) throw new Error('the small buffers are not there');
  return [after - before];
}

function useLarge(kept: Uint8Array[]): void {
  const large: Uint8Array[] = [];
  for (let count = 0; count < 64; count++) {
    kept.push(new Uint8Array(4000).fill(1));
    large.push(new Uint8Array(2 ** 20).fill(1));
  }
}

const actions: Record<string, () => number[] | Promise<number[]>> = {
  work: () => {
    work();
    return [youngGenerationBytes()];
  },
  shrink: shrinkAndWork,
  rest,
  holes: leaveHoles,
};
process.stdout.write(JSON.stringify(await actions[action]?.()));
