import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { EngineStats } from '@dozo/engine';
import { afterEach, describe, expect, it } from 'vitest';

import { STATUS_BYTES_MAX } from '../limits.ts';
import { askDaemon, engineStatus } from './daemon-status.ts';
import type { RuntimeInfo } from './runtime-file.ts';

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Somebody who answers every request with `body`; resolves with what would lead to them. */
async function answering(body: string, status = 200): Promise<RuntimeInfo> {
  const listening = createServer((_request, response) => {
    response.writeHead(status, { Location: '/elsewhere' }).end(body);
  }).listen(0, '127.0.0.1');
  server = listening;
  await new Promise((resolve) => listening.once('listening', resolve));
  const { port } = listening.address() as AddressInfo;
  return { instance: 'mine', healthEndpoint: `http://127.0.0.1:${port}` } as RuntimeInfo;
}

describe('askDaemon', () => {
  it('believes the daemon that the runtime file means', async () => {
    const info = await answering('{"instance":"mine","phase":"serving"}');
    expect(await askDaemon(info)).toEqual({ instance: 'mine', phase: 'serving' });
  });

  it.each([
    ['another daemon on the same port', '{"instance":"another","phase":"serving"}', 200],
    ['a program that speaks no JSON', '<html>', 200],
    ['a program that says nothing of the kind', 'null', 200],
    ['a program that sends it elsewhere', '', 302],
    ['a program that never ends', `"${'x'.repeat(STATUS_BYTES_MAX)}"`, 200],
  ])('does not believe %s', async (_name, body, status) => {
    expect(await askDaemon(await answering(body, status))).toBeUndefined();
  });

  it('finds nobody where nobody listens', async () => {
    const info = await answering('');
    server?.close();
    expect(await askDaemon(info)).toBeUndefined();
  });
});

describe('engineStatus', () => {
  it('names claims that are kept apart in a form that JSON can hold', () => {
    const claim = {
      identity: { incarnation: 3, nonce: new Uint8Array(16).fill(0xab) },
      host: 'alpha',
      podName: 'osd-0',
      processId: 12,
      sinceWallMs: 0,
      by: { incarnation: 4, nonce: new Uint8Array(16) },
      fencedWallMs: 1500,
    };
    const stats = { keyCount: 7, quarantinedClaims: [claim] } as unknown as EngineStats;
    expect(JSON.parse(JSON.stringify(engineStatus(stats)))).toEqual({
      keyCount: 7,
      quarantinedClaims: [
        {
          ...{ incarnation: 3, nonce: 'ab'.repeat(16) },
          ...{ host: 'alpha', podName: 'osd-0', processId: 12 },
          ...{ since: '1970-01-01T00:00:00.000Z', fencedAt: '1970-01-01T00:00:01.500Z' },
          fencedBy: 4,
        },
      ],
    });
  });
});
