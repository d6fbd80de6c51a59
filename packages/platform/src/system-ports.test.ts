import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';

import { readHostIdentity } from './host-identity.ts';
import { loadKernel } from './kernel.ts';
import { openSystemClock } from './system-clock.ts';
import { SystemRandom } from './system-random.ts';

const index = join(import.meta.dirname, 'index.ts');

describe('the clock of this machine', () => {
  it('counts from boot, suspended time included, in fractions of a ms', async () => {
    const clock = await openSystemClock();
    const beforeMs = clock.monotonicMs();
    const uptimeMs = Number.parseFloat(await readFile('/proc/uptime', 'utf8')) * 1000;
    const afterMs = clock.monotonicMs();
    // /proc/uptime is CLOCK_BOOTTIME too, cut to 10 ms.
    expect(uptimeMs).toBeGreaterThanOrEqual(beforeMs - 10);
    expect(uptimeMs).toBeLessThanOrEqual(afterMs);
    expect(Number.isInteger(beforeMs) && Number.isInteger(afterMs)).toBe(false);
  });
});

describe('a timer of this machine', () => {
  it('does not keep the process alive', () => {
    const program = `import { openSystemClock } from ${JSON.stringify(index)};
      const clock = await openSystemClock();
      clock.startTimer(3_600_000, () => undefined);
      console.log('started');`;
    const run = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    expect(run).toMatchObject({ status: 0, stdout: 'started\n' });
  });

  it('may be longer than the longest that Node keeps', async () => {
    const clock = await openSystemClock();
    const ran = vi.fn();
    const timer = clock.startTimer(2 ** 33, ran);
    // Node runs a delay beyond 2^31 - 1 ms at once.
    await new Promise((resolve) => setTimeout(resolve, 20));
    timer.cancel();
    expect(ran).not.toHaveBeenCalled();
  });
});

describe('a timer that Node ends early', () => {
  it('waits for what is left by the clock that counts', async () => {
    const clock = await openSystemClock();
    const ran = vi.fn();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const timer = clock.startTimer(3_600_000, ran);
      vi.advanceTimersByTime(3_600_000);
      expect(ran).not.toHaveBeenCalled();
      expect(vi.getTimerCount()).toBe(1);
      timer.cancel();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a machine without the calls of the C library', () => {
  it('is told apart from every other failure', async () => {
    const broken = (): Promise<never> => Promise.reject(new Error('no binary'));
    await expect(loadKernel(broken)).rejects.toMatchObject({
      code: 'KERNEL_CALLS_UNAVAILABLE',
      message: expect.stringContaining('no binary') as string,
    });
    await expect(loadKernel()).resolves.toBeDefined();
  });
});

describe('the randomness of this machine', () => {
  it('never hands out the same bytes twice, across refills of the pool', () => {
    const random = new SystemRandom();
    const seen = new Set<string>();
    for (let round = 0; round < 2000; round++) {
      seen.add(Buffer.from(random.bytes(16)).toString('hex'));
      random.below(7);
    }
    expect(seen.size).toBe(2000);
  });
});

describe('the identity of this process', () => {
  it('names host, boot and process, and the Pod where there is one', () => {
    const identity = readHostIdentity({});
    expect(identity.pid).toBe(process.pid);
    expect(identity.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(identity.host.length).toBeGreaterThan(0);
    expect(identity).not.toHaveProperty('podName');
    const inPod = readHostIdentity({ POD_NAME: 'osd-0', POD_UID: 'u1' });
    expect(inPod).toMatchObject({ podName: 'osd-0', podUid: 'u1' });
  });

  it('names the machine where it has an id of the right form', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    const path = join(directory, 'machine-id');
    const places = { machineId: path, containerMarks: [] };
    const id = '0123456789abcdef0123456789abcdef';
    await writeFile(path, `${id}\n`);
    expect(readHostIdentity({}, places).machineId).toBe(id);
    for (const content of ['uninitialized\n', '', `${id}0\n`, id.toUpperCase()]) {
      await writeFile(path, content);
      expect(readHostIdentity({}, places)).not.toHaveProperty('machineId');
    }
    await rm(directory, { recursive: true });
    expect(readHostIdentity({}, places)).not.toHaveProperty('machineId');
  });

  it('does not take the id of an image, which many machines run, for that of its machine', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    const machineId = join(directory, 'machine-id');
    await writeFile(machineId, '0123456789abcdef0123456789abcdef\n');
    const unmarked = { machineId, containerMarks: [] };
    for (const [environment, places] of [
      [{ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, unmarked],
      [{ container: 'podman' }, unmarked],
      [{}, { machineId, containerMarks: [machineId] }],
    ] as const) {
      expect(readHostIdentity(environment, places)).not.toHaveProperty('machineId');
    }
    // The machine's own, mounted into the container: a file of another file system than its directory.
    const other = await mkdtemp('/dev/shm/dozo-platform-');
    await copyFile(machineId, join(other, 'machine-id'));
    await symlink(join(other, 'machine-id'), join(directory, 'mounted'));
    const mounted = { machineId: join(directory, 'mounted'), containerMarks: [machineId] };
    expect(readHostIdentity({}, mounted)).toHaveProperty('machineId');
    await rm(other, { recursive: true });
    await rm(directory, { recursive: true });
  });
});
