/** The kernel's lock between processes, however they end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createDeviceFile, openFileDevice } from '../src/index.ts';

const index = join(import.meta.dirname, '..', 'src', 'index.ts');

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
  path = join(directory, 'disk');
  await createDeviceFile({ path, sizeBytes: 65_536 });
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** Starts a process that holds the device until it is killed. */
async function startHolder(): Promise<ChildProcess> {
  const program = `import { openFileDevice } from ${JSON.stringify(index)};
    const device = await openFileDevice({ path: ${JSON.stringify(path)}, mode: 'exclusive' });
    console.log('held', device.sizeBytes);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

describe('a device that another process holds', () => {
  it('is refused while that process lives, and free as soon as it was killed', async () => {
    const holder = await startHolder();
    try {
      await expect(openFileDevice({ path, mode: 'exclusive' })).rejects.toMatchObject({
        detail: { code: 'DEVICE_BUSY', path },
      });
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    const device = await openFileDevice({ path, mode: 'exclusive' });
    await device.close();
  });
});
