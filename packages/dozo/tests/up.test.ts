/** `dozo up` as a process: how it starts, serves, stops, dies, and comes back. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dozo } from './command-line.ts';
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

  it('refuses half a pair of credentials before it makes anything', async () => {
    const environment = { DOZO_SECRET_ACCESS_KEY: undefined };
    const { status, errors } = await workplace.up(['--size', SIZE], environment).ended;
    expect(status).toBe(2);
    expect(errors).toMatch(
      /^dozo: DOZO_ACCESS_KEY_ID is set and DOZO_SECRET_ACCESS_KEY is not.*\n$/,
    );
    expect(existsSync(workplace.data)).toBe(false);
  });

  it.each([
    { bug: 'an exception that nothing catches', code: 'throw new Error("boom")' },
    { bug: 'a rejection that nothing handles', code: 'Promise.reject(new Error("boom"))' },
  ])('ends with a status of its own, and a trace in the log, at $bug', async ({ code }) => {
    const planted = encodeURIComponent(`process.on('SIGUSR2', () => { ${code} })`);
    const NODE_OPTIONS = `--import=data:text/javascript,${planted}`;
    const daemon = workplace.up(['--size', SIZE], { NODE_OPTIONS });
    await workplace.ready(daemon);
    daemon.child.kill('SIGUSR2');
    expect((await daemon.ended).status).toBe(70);
    expect(daemon.logLines().at(-1)).toMatchObject({
      level: 'fatal',
      msg: 'this is a bug in dozo, please report it',
      err: { message: 'boom', stack: expect.stringContaining('Error: boom') as string },
    });
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

  it('serves buckets as hosts below a domain', async () => {
    const daemon = workplace.up(['--size', SIZE, '--domain', 's3.test']);
    const { endpoint } = await workplace.ready(daemon);
    await putObject(endpoint, 'by its host');
    const { port } = new URL(endpoint);
    const url = `http://bucket.s3.test:${port}/key`;
    const headers = { ...signedHeaders({ method: 'GET', url }), host: `bucket.s3.test:${port}` };
    const body = await new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: '/key', headers }, (response) => {
        text(response).then(resolve, reject);
      }).on('error', reject);
    });
    expect(body).toBe('by its host');
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

  it('ends with a status of its own when the device fails, and verifies before it serves again', async () => {
    const device = join(workplace.directory, 'device');
    const made = await dozo(['device', 'format', device, '--size', SIZE]);
    expect(made).toMatchObject({ status: 0 });
    // The kernel refuses every write behind the first 12 MiB of a file: a disk that has died there.
    const limit = `trap '' XFSZ; ulimit -f ${12 * 2048}`;
    const daemon = workplace.up(['--device', device], {}, limit);
    const { endpoint } = await workplace.ready(daemon);
    await putObject(endpoint, 'written before');
    const body = Buffer.alloc(6 * 2 ** 20, 'x');
    const statuses = await Promise.all(
      [1, 2].map((number) =>
        send({ method: 'PUT', url: `${endpoint}/bucket/large${number}`, body }).then(
          ({ status }) => status,
          () => 'cut off',
        ),
      ),
    );
    expect(statuses).not.toEqual([200, 200]);
    expect((await daemon.ended).status).toBe(7);
    expect(daemon.logLines().at(-1)).toMatchObject({ level: 'fatal', code: 'DEVICE_FAILED' });
    expect(existsSync(workplace.readyFile)).toBe(false);
    expect((await dozo(['device', 'show', device])).output).toMatch(
      /a write or flush failed at .*EFBIG/,
    );

    const again = workplace.up(['--device', device]);
    expect(await getObject((await workplace.ready(again)).endpoint)).toBe('written before');
    expect(again.logLines()).toContainEqual(
      expect.objectContaining({
        msg: 'the last holder saw a write fail: verifying all of the device',
      }),
    );
    await stopClean(again);
  });
});
