/** A second `dozo up` on the same data is refused, and says who holds the device. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { signedExchange } from './harness/raw-http.ts';
import { tryCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const EXIT_DEVICE_HELD = 3;
const scratch = new Scratch('double-start');
let server: DozoServer;

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '1GiB' });
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test('the second one is refused and names the first one, which goes on', async () => {
  const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');
  const ports = ['--port', '0', '--health-port', '0'];
  const second = await tryCommand(
    process.execPath,
    [command, 'up', '--data', scratch.join('data'), ...ports],
    { timeoutMs: 60_000 },
  );
  expect(second.status).toBe(EXIT_DEVICE_HELD);
  const said = second.stdout + second.stderr;
  expect(said).toContain(String(server.pid));
  expect(said).toContain(hostname());
  expect((await signedExchange(server, { method: 'PUT', path: '/still' })).status).toBe(200);
});

test('after a clean stop and after a kill the next one starts at once', async () => {
  expect(await server.stop()).toBe(0);
  await server.start();
  await server.kill();
  await server.start();
  expect((await signedExchange(server, { method: 'HEAD', path: '/still' })).status).toBe(200);
});
