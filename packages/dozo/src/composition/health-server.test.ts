import { connect } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { startHealthServer } from './health-server.ts';
import type { DaemonPhase, HealthServer } from './health-server.ts';

let phase: DaemonPhase;
let server: HealthServer;

const options = {
  host: '127.0.0.1',
  port: 0,
  phase: () => phase,
  status: () => ({ phase, answer: 42 }),
};

beforeEach(async () => {
  phase = 'serving';
  server = await startHealthServer(options);
});

afterEach(async () => {
  await server.close();
});

const get = (path: string, method = 'GET') =>
  fetch(`http://127.0.0.1:${server.port}${path}`, { method });

describe('the health server', () => {
  it('says that the process is alive in every phase', async () => {
    for (phase of ['starting', 'serving', 'stopping', 'failed'] as const) {
      expect((await get('/livez')).status).toBe(200);
    }
  });

  it('is ready only while it serves, and says what it does instead', async () => {
    expect((await get('/readyz?verbose')).status).toBe(200);
    for (phase of ['starting', 'stopping', 'failed'] as const) {
      const response = await get('/readyz');
      expect(response.status).toBe(503);
      expect(await response.text()).toBe(`${phase}\n`);
    }
  });

  it('shows the status as JSON', async () => {
    const response = await get('/status');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({ phase: 'serving', answer: 42 });
  });

  it('answers HEAD, refuses other methods, and does not know other paths', async () => {
    expect((await get('/readyz', 'HEAD')).status).toBe(200);
    expect((await get('/readyz', 'POST')).status).toBe(405);
    expect((await get('/')).status).toBe(404);
  });

  it('closes although somebody holds a connection open', async () => {
    const idle = connect(server.port, '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    const gone = new Promise((resolve) => idle.once('close', resolve));
    await server.close();
    expect(await gone).toBe(false);
    server = await startHealthServer(options);
  });

  it('says which option chooses another port when somebody listens there already', async () => {
    await expect(startHealthServer({ ...options, port: server.port })).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      detail: { address: `127.0.0.1:${server.port}` },
      message: expect.stringMatching(/--health-port$/) as string,
    });
  });

  it('says that an address is not one of this machine', async () => {
    await expect(startHealthServer({ ...options, host: '203.0.113.7' })).rejects.toMatchObject({
      code: 'ADDRESS_UNUSABLE',
      message: expect.stringContaining('does not have that address') as string,
    });
  });
});
