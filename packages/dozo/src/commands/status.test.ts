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
