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
  const sizes = new Set<number>();
  // In every turn of the event loop, so that a step of the growth lies between two of them.
  let isOver = false;
  const sample = (): void => {
    sizes.add(youngGenerationBytes());
    if (!isOver) setImmediate(sample);
  };
  sample();
  for (let turn = 0; turn < 20; turn++) {
    const endMs = performance.now() + 10;
    while (performance.now() < endMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  isOver = true;
  return [before, shrunk, youngGenerationBytes(), sizes.size];
}

/** What there is after work, and when nothing has been done for some looks. */
async function rest(): Promise<number[]> {
  work();
  const before = residentBytes();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return [before - residentBytes()];
}

const actions: Record<string, () => number[] | Promise<number[]>> = {
  work: () => {
    work();
    return [youngGenerationBytes()];
  },
  shrink: shrinkAndWork,
  rest,
};
process.stdout.write(JSON.stringify(await actions[action]?.()));
