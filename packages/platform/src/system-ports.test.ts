import { describe, expect, it } from 'vitest';

import { readHostIdentity } from './host-identity.ts';
import { openSystemClock } from './system-clock.ts';
import { SystemRandom } from './system-random.ts';

describe('the clock of this machine', () => {
  it('counts from boot, suspended time included, in fractions of a ms', async () => {
    const clock = await openSystemClock();
    const { readFile } = await import('node:fs/promises');
    const beforeMs = clock.monotonicMs();
    const uptimeMs = Number.parseFloat(await readFile('/proc/uptime', 'utf8')) * 1000;
    const afterMs = clock.monotonicMs();
    // /proc/uptime is CLOCK_BOOTTIME too, cut to 10 ms.
    expect(uptimeMs).toBeGreaterThanOrEqual(beforeMs - 10);
    expect(uptimeMs).toBeLessThanOrEqual(afterMs);
    expect(Number.isInteger(beforeMs) && Number.isInteger(afterMs)).toBe(false);
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
});
