/** `dozo up` as a process: how it starts, serves, stops, dies, and comes back. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SECRET, SIZE, Workplace } from './dozo-process.ts';
import type { DozoProcess } from './dozo-process.ts';
import { send, signedHeaders } from './signed-request.ts';

let workplace: Workplace;

beforeEach(() => {
  workplace = new Workplace();
});

afterEach(async () => {
  await workplace.clear();
});

async function putObject(endpoint: string, body: string): Promise<void> {
  expect((await send({ method: 'PUT', url: `${endpoint}/bucket` })).status).toBe(200);
  const response = await send({ method: 'PUT', url: `${endpoint}/bucket/key`, body });
  expect(response.status).toBe(200);
}

async function getObject(endpoint: string): Promise<string> {
  const response = await send({ method: 'GET', url: `${endpoint}/bucket/key` });
  expect(response.status).toBe(200);
  return response.text();
}

async function stopClean(daemon: DozoProcess): Promise<void> {
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ status: 0 });
}

describe('dozo up', () => {
  it('serves, stops clean at SIGTERM, and has everything after a new start', async () => {
    const first = workplace.up(['--size', SIZE]);
    const { endpoint, healthEndpoint, pid, device } = await workplace.ready(first);
    expect(pid).toBe(first.child.pid);
    expect(device).toBe(join(workplace.data, 'osd-0.device'));
    expect((await fetch(`${healthEndpoint}/livez`)).status).toBe(200);
    expect((await fetch(`${healthEndpoint}/readyz`)).status).toBe(200);
    await putObject(endpoint, 'hello');
    await stopClean(first);
    expect(existsSync(workplace.readyFile)).toBe(false);
    expect(readdirSync(workplace.data).sort()).toEqual(['aws-config', 'osd-0.device']);

    const second = workplace.up();
    expect(await getObject((await workplace.ready(second)).endpoint)).toBe('hello');
    await stopClean(second);
    expect(second.logLines().at(-1)).toMatchObject({ msg: 'stopped clean' });
  });

  it('has everything that it acknowledged after kill -9', async () => {
    const first = workplace.up(['--size', SIZE]);
    await putObject((await workplace.ready(first)).endpoint, 'survivor');
    first.child.kill('SIGKILL');
    await first.ended;
    expect(existsSync(workplace.readyFile)).toBe(true);
    const second = workplace.up();
    expect(await getObject((await workplace.ready(second)).endpoint)).toBe('survivor');
  });

  it('refuses a second start on the same data, names the holder, and takes nothing from it', async () => {
    const first = workplace.up(['--size', SIZE]);
    const { endpoint, pid } = await workplace.ready(first);
    await putObject(endpoint, 'still here');
    const second = await workplace.up().ended;
    expect(second.status).toBe(3);
    const { msg } = JSON.parse(second.errors) as { readonly msg: string };
    expect(msg).toContain(`process ${pid} on host ${hostname()}`);
    expect(msg).toMatch(/held since \d{4}-/);
    expect(await getObject(endpoint)).toBe('still here');
    expect(JSON.parse(readFileSync(workplace.readyFile, 'utf8'))).toMatchObject({ pid });
    await stopClean(first);
  });

  it('makes credentials, tells where they are, and shows the secret nowhere', async () => {
    const daemon = workplace.up(['--size', SIZE, '--log-level', 'trace', '--log-format', 'auto'], {
      DOZO_ACCESS_KEY_ID: undefined,
      DOZO_SECRET_ACCESS_KEY: undefined,
    });
    await workplace.ready(daemon);
    await stopClean(daemon);
    const path = join(workplace.data, 'credentials.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const { SecretAccessKey } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly SecretAccessKey: string;
    };
    const { output, errors } = await daemon.ended;
    expect(output).toContain(path);
    expect(output).toMatch(/^aws .* s3 mb s3:\/\/first-light$/m);
    expect(output + errors).not.toContain(SecretAccessKey);
  });

  it('never shows a secret of the environment either', async () => {
    const daemon = workplace.up(['--size', SIZE, '--log-level', 'trace']);
    await putObject((await workplace.ready(daemon)).endpoint, 'x');
    await stopClean(daemon);
    expect(daemon.output + daemon.errors).not.toContain(SECRET);
  });

  it('ends at once at a second signal, with the status that shells give it', async () => {
    const daemon = workplace.up(['--size', SIZE]);
    const { endpoint, healthEndpoint } = await workplace.ready(daemon);
    await putObject(endpoint, 'x');
    const { hostname: host, port } = new URL(endpoint);
    const { connect } = await import('node:net');
    // A request that never ends keeps the clean stop waiting.
    const slow = connect(Number(port), host);
    const url = `${endpoint}/bucket/slow`;
    const headers = Object.entries(signedHeaders({ method: 'PUT', url }));
    slow.on('error', () => undefined);
    slow.write(
      `PUT /bucket/slow HTTP/1.1\r\nHost: ${host}:${port}\r\nContent-Length: 9\r\n${headers
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\nhalf`,
    );
    await expect.poll(async () => (await fetch(`${endpoint}/bucket`)).status).toBe(403);
    daemon.child.kill('SIGTERM');
    await daemon.logged('stopping: running requests may end');
    await expect.poll(async () => (await fetch(`${healthEndpoint}/readyz`)).status).toBe(503);
    await expect
      .poll(
        () => {
          daemon.child.kill('SIGINT');
          return daemon.child.exitCode;
        },
        { interval: 100, timeout: 10_000 },
      )
      .toBe(130);
    slow.destroy();
  });

  it('refuses a device file that is garbage, in one line, and leaves it as it is', async () => {
    const garbage = join(workplace.directory, 'garbage');
    const content = Buffer.alloc(2 ** 20, 'garbage ');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(garbage, content);
    const { status, errors } = await workplace.up(['--device', garbage]).ended;
    expect(status).toBe(4);
    expect(JSON.parse(errors)).toMatchObject({
      level: 'fatal',
      code: 'DEVICE_NOT_DOZO',
      msg: expect.stringContaining(`dozo device format ${garbage}`) as string,
    });
    expect(readFileSync(garbage).equals(content)).toBe(true);
  });

  it('says in one line which port is taken', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as AddressInfo;
    try {
      const args = ['--size', SIZE, '--log-format', 'human'];
      const s3 = await workplace.up([...args, '--port', String(port)]).ended;
      expect(s3.status).toBe(6);
      expect(s3.errors).toMatch(new RegExp(`^dozo: .*127.0.0.1:${port}.*--port\n$`, 'm'));
      const health = await workplace.up([...args, '--health-port', String(port)]).ended;
      expect(health.status).toBe(6);
      expect(health.errors).toMatch(new RegExp(`^dozo: .*:${port}.*--health-port\n$`, 'm'));
      expect(s3.errors + health.errors).not.toMatch(/^ +at /m);
    } finally {
      blocker.close();
    }
  });

  it('serves https with a certificate', async () => {
    const tls = join(import.meta.dirname, 'tls');
    const certificate = join(tls, 'localhost-certificate.pem');
    const daemon = workplace.up([
      ...['--size', SIZE, '--tls-cert', certificate],
      ...['--tls-key', join(tls, 'localhost-key.pem')],
    ]);
    const { endpoint } = await workplace.ready(daemon);
    expect(endpoint).toMatch(/^https:/);
    const url = `${endpoint}/bucket`;
    const status = await new Promise((resolve, reject) => {
      const headers = signedHeaders({ method: 'PUT', url });
      const ca = readFileSync(certificate);
      request(url, { method: 'PUT', headers, ca }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
  });

  it('goes on when nobody reads what it says', async () => {
    const daemon = workplace.up(['--size', SIZE, '--log-level', 'trace']);
    const { endpoint } = await workplace.ready(daemon);
    daemon.child.stdout?.destroy();
    daemon.child.stderr?.destroy();
    await putObject(endpoint, 'unheard');
    expect(await getObject(endpoint)).toBe('unheard');
    await stopClean(daemon);
  });

  it('does not mind a kill in the middle of a first start', async () => {
    for (const delayMs of [50, 100, 150, 200, 250, 300]) {
      const killed = workplace.up(['--size', SIZE]);
      setTimeout(() => killed.child.kill('SIGKILL'), delayMs);
      await killed.ended;
    }
    const daemon = workplace.up(['--size', SIZE]);
    await putObject((await workplace.ready(daemon)).endpoint, 'made it');
    await stopClean(daemon);
  });
});
