import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dozo } from '../../tests/command-line.ts';

const QUARANTINED = {
  ...{ incarnation: 3, nonce: 'ab'.repeat(16), host: 'alpha', podName: 'osd-0', processId: 12 },
  ...{ since: '2026-11-22T18:00:00.000Z', fencedAt: '2026-11-22T18:00:11.700Z', fencedBy: 4 },
};

const ENGINE = {
  state: 'open',
  claim: {
    ...{ incarnation: 4, sinceWallMs: Date.UTC(2026, 10, 22, 18), lastBeatWallMs: 0 },
    ...{ beatCount: 9, beatIntervalMs: 1000, leaseMs: 5000, leaseLeftMs: 4200, isLocal: false },
  },
  ...{ liveBytes: 0, usableBytes: 2 ** 30, availableBytes: 2 ** 30, keyCount: 1 },
  ...{ freeSegmentCount: 20, segmentCount: 32, segmentBytes: 16 * 2 ** 20 },
  ...{ checksumErrorCount: 0, quarantinedSegmentCount: 0, quarantinedClaims: [] },
  ...{ bytesAccepted: 100 * 2 ** 20, bytesWritten: 250 * 2 ** 20, writeAmplification: 2.5 },
  ...{
    bytesMoved: 3 * 2 ** 20,
    reclaimDebtBytes: 48 * 2 ** 20,
    checkpointCount: 7,
    commitCount: 100,
  },
  commitLatency: { boundsMs: [1, 2, 5], counts: [40, 50, 9, 1], sumMs: 200, maxMs: 42.345 },
  tree: {
    logLiveBytes: 2 ** 20,
    levels: [
      { runCount: 2, tableCount: 3, sizeBytes: 12 * 2 ** 20 },
      { runCount: 0, tableCount: 0, sizeBytes: 0 },
      { runCount: 1, tableCount: 1, sizeBytes: 4 * 2 ** 20 },
    ],
    cache: { limitBytes: 64 * 2 ** 20, sizeBytes: 32 * 2 ** 20, hitCount: 999, missCount: 1 },
    ...{ memtableBytes: 5 * 2 ** 20, memtableBytesMax: 8 * 2 ** 20 },
    flushes: {
      ...{ count: 4, bytesIn: 2 ** 20, bytesOut: 2 * 2 ** 20 },
      latency: { boundsMs: [100, 200], counts: [1, 2, 1], sumMs: 900, maxMs: 512.75 },
    },
    compactions: {
      ...{ count: 1, bytesIn: 6 * 2 ** 20, bytesOut: 5 * 2 ** 20 },
      latency: { boundsMs: [100, 200], counts: [0, 0, 0], sumMs: 0, maxMs: 0 },
    },
    ...{ compactionDebtBytes: 16 * 2 ** 20, damagedTableCount: 0, stepMsMax: 3.21 },
  },
};

let directory: string;
let server: Server;
let engine: object;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'dozo-status-'));
  server = createServer((_request, response) => {
    response.end(JSON.stringify({ ...info(), engine }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  writeFileSync(join(directory, 'runtime.json'), JSON.stringify(info()));
});

afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

function info(): object {
  const { port } = server.address() as AddressInfo;
  return {
    ...{ pid: 4711, instance: 'mine', endpoint: 'http://127.0.0.1:9000' },
    ...{ healthEndpoint: `http://127.0.0.1:${port}`, device: '/dev/sdb' },
    ...{ dataDirectory: directory, startedAt: '2026-11-22T18:00:00.000Z', version: '0.1.0' },
    ...{ phase: 'serving', residentBytes: 1 },
  };
}

const status = async (of: object): Promise<string> => {
  engine = of;
  const outcome = await dozo(['status', '--data', directory]);
  expect(outcome).toMatchObject({ status: 0, errors: '' });
  return outcome.output;
};

describe('dozo status of a running daemon', () => {
  it('shows the claim and how its lease stands', async () => {
    const output = await status(ENGINE);
    expect(output).toContain('  claim         4, since 2026-11-22T18:00:00.000Z\n');
    expect(output).toContain('  lease         4200 of 5000 ms left; a beat every 1000 ms\n');
    expect(output).not.toContain('QUARANTINE');
  });

  it('shows the index, what was written for it, and what is left to do', async () => {
    const output = await status(ENGINE);
    for (const line of [
      'index         level 0: 12 MiB in 3 tables of 2 runs; level 2: 4 MiB in 1 table',
      'in memory     5 MiB of 8 MiB not flushed; cache 32 MiB of 64 MiB, 99.9 % of 1000 found there',
      'written       250 MiB for 100 MiB accepted: 2.5 times; 3 MiB moved; 7 checkpoints',
      'flushes       4: 1 MiB into tables of 2 MiB, half within 200 ms, longest 512.8 ms',
      'compactions   1: 6 MiB into 5 MiB; 16 MiB to be written; longest step 3.2 ms',
      'reclaim       48 MiB dead',
      'commits       100: half within 2 ms, 99 % within 5 ms, longest 42.3 ms',
    ]) {
      expect(output).toContain(`  ${line}\n`);
    }
    expect(output).not.toContain('DAMAGED');
  });

  it('tells of damaged tables, and what to do', async () => {
    const tree = { ...ENGINE.tree, damagedTableCount: 2 };
    const output = await status({ ...ENGINE, tree });
    const line =
      'DAMAGED       2 tables of the index; stop the daemon, then `dozo device check --repair`';
    expect(output).toContain(`  ${line}\n`);
  });

  it('has no line for what there is nothing to say of', async () => {
    const commitLatency = { ...ENGINE.commitLatency, counts: [0, 0, 0, 0], sumMs: 0, maxMs: 0 };
    const levels = [{ runCount: 0, tableCount: 0, sizeBytes: 0 }];
    const cache = { ...ENGINE.tree.cache, hitCount: 0, missCount: 0 };
    const output = await status({
      ...ENGINE,
      commitLatency,
      tree: { ...ENGINE.tree, levels, cache },
    });
    expect(output).toContain('  index         nothing in tables yet\n');
    expect(output).toContain('cache 32 MiB of 64 MiB\n');
    expect(output).not.toContain('commits');
  });

  it('says of commits that are longer than the histogram goes only how long the longest was', async () => {
    const commitLatency = { ...ENGINE.commitLatency, counts: [0, 0, 0, 4] };
    const output = await status({ ...ENGINE, commitLatency });
    expect(output).toContain('half within 42.3 ms, 99 % within 42.3 ms, longest 42.3 ms\n');
  });

  it.each([
    ['lapsed', { ...ENGINE, claim: { ...ENGINE.claim, leaseLeftMs: 0 } }, 'lapsed: the next beat'],
    ['over', { ...ENGINE, state: 'fenced' }, 'over: fenced'],
  ])('says that the lease is %s', async (_, of, words) => {
    expect(await status(of)).toContain(`  lease         ${words}`);
  });

  it('shows what is kept apart, and for whom', async () => {
    const of = { ...ENGINE, quarantinedSegmentCount: 4, quarantinedClaims: [QUARANTINED] };
    const output = await status(of);
    expect(output).toContain('  QUARANTINE    4 segments (64 MiB) are kept apart');
    expect(output).toContain(
      '    claim 3: process 12 on host alpha, pod osd-0, fenced 2026-11-22T18:00:11.700Z\n',
    );
    expect(output).toContain('dozo forensics /dev/sdb');
  });
});
