/** A directory that is claimed: one holder, a refusal that names it, and who waits. */
import { execFile } from 'node:child_process';
import { rm, mkdtemp, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SeededRandom } from '@dozo/base';
import { acquireClaim } from '@dozo/claim';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimDirectory, openClaimFile, openSystemClock, SystemRandom } from '../src/index.ts';
import type { ClaimDirectoryOptions } from '../src/index.ts';

const settings = { beatIntervalMs: 20, leaseMs: 400, isLocal: true };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

function options(name: string, more: Partial<ClaimDirectoryOptions> = {}): ClaimDirectoryOptions {
  return { directory, name, softwareVersion: '1', settings, ...more };
}

describe('a claimed directory', () => {
  it('is held, and refused to others with the name of its holder', async () => {
    const first = await claimDirectory(options('the first'));
    expect(first.claim.slot).toMatchObject({ state: 'held', holder: { name: 'the first' } });
    expect(first.claim.slot.writeCounter).toBeGreaterThanOrEqual(2);
    await expect(claimDirectory(options('the second'))).rejects.toMatchObject({
      detail: { code: 'CLAIM_HELD', path: first.path },
      message: expect.stringMatching(/held by the first, process \d+ on host/) as string,
    });
    await first.giveBack();
    const second = await claimDirectory(options('the second'));
    expect(second.claim.identity.incarnation).toBe(2);
    await second.giveBack();
  });

  it('is waited for until it is free, and whom for is told', async () => {
    const first = await claimDirectory(options('the first'));
    const told = Promise.withResolvers<string | undefined>();
    const onProgress = (progress: {
      kind: string;
      holder: { holder: { name?: string } };
    }): void => {
      told.resolve(`${progress.kind} ${progress.holder.holder.name ?? ''}`);
    };
    const waiting = claimDirectory(options('the second', { wait: true, onProgress }));
    expect(await told.promise).toBe('held the first');
    await first.giveBack();
    const second = await waiting;
    expect(second.claim.slot.holder.name).toBe('the second');
    await second.giveBack();
  });

  it('is not waited for any longer when the signal says so', async () => {
    const first = await claimDirectory(options('the first'));
    const ending = new AbortController();
    const reason = new Error('no longer');
    const onProgress = (): void => ending.abort(reason);
    const { signal } = ending;
    const waiting = claimDirectory(options('the second', { wait: true, onProgress, signal }));
    await expect(waiting).rejects.toBe(reason);
    await first.giveBack();
  });

  it('is busy when a process has the lock that has said nothing of itself', async () => {
    const random = new SeededRandom(1);
    const file = await openClaimFile({ directory, mode: 'exclusive', settings, random });
    await expect(claimDirectory(options('late'))).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    await file.device.close();
  });

  it('gives the lock back also when the claim was lost', async () => {
    const first = await claimDirectory(options('the first'));
    const lost = new Promise((resolve) => {
      first.claim.onEnd(resolve);
    });
    await truncate(first.path, 65_536);
    expect(await lost).toMatchObject({ code: 'CLAIM_LOST' });
    await expect(first.giveBack()).rejects.toMatchObject({ code: 'CLAIM_LOST' });
    await rm(first.path);
    await (await claimDirectory(options('the second'))).giveBack();
  });

  it('can be taken however often holders have died elsewhere without proof', async () => {
    const short = { ...settings, leaseMs: 60 };
    const dieElsewhere = async (): Promise<void> => {
      const random = new SystemRandom();
      const mode = 'unlocked';
      const file = await openClaimFile({ directory, mode, settings: short, random });
      const holder = { host: 'elsewhere', bootId: '', processId: 1, softwareVersion: '1' };
      const claim = await acquireClaim({ ...file, clock: await openSystemClock(), random, holder });
      await claim.update({ state: 'held' });
      claim.abandon();
      await file.device.close();
    };
    // An account can name 12.
    for (const deadCount of [9, 4]) {
      for (let count = 0; count < deadCount; count++) await dieElsewhere();
      const claimed = await claimDirectory(options('survivor', { settings: short }));
      expect(claimed.claim.quarantined).toHaveLength(8);
      await claimed.giveBack();
    }
  });

  it('is taken by a program that does nothing else meanwhile', async () => {
    // Without a lock that proves anything, there is a settle time to wait for.
    const index = join(import.meta.dirname, '..', 'src', 'index.ts');
    const given = JSON.stringify(options('alone', { settings: { ...settings, isLocal: false } }));
    const program = `import { claimDirectory } from ${JSON.stringify(index)};
      const claimed = await claimDirectory(${given});
      console.log(claimed.claim.slot.state);
      await claimed.giveBack();`;
    const args = ['--input-type=module-typescript', '-e', program];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('held\n');
  });
});
