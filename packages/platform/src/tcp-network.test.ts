/** What only TCP can show; what every network must do is in the contract suite. */
import { NETWORK_QUEUE_BYTES_MAX } from '@dozo/base';
import type { AnyNetworkError, Connection, ConnectionEvents } from '@dozo/base';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, Server } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { CLOSE_TIMEOUT_MS } from './limits.ts';
import { TcpNetwork } from './tcp-network.ts';

const network = new TcpNetwork();
const cleanUps: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

interface Watched {
  readonly events: ConnectionEvents;
  readonly frames: Uint8Array[];
  readonly closed: Promise<AnyNetworkError | undefined>;
}

function watch(): Watched {
  const frames: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<AnyNetworkError | undefined>();
  return {
    events: { onFrame: (frame) => frames.push(frame), onClose: resolve },
    frames,
    closed: promise,
  };
}

/** A listener of ours, and a bare socket that has connected to it. */
async function withBareClient(options: { readonly allowHalfOpen?: boolean } = {}): Promise<{
  server: Watched;
  client: Socket;
  connection: Connection;
}> {
  const server = watch();
  const accepted = Promise.withResolvers<Connection>();
  const listener = await network.listen('127.0.0.1:0', (connection) => {
    accepted.resolve(connection);
    return server.events;
  });
  const port = Number(listener.address.split(':')[1]);
  const client = connect({ port, host: '127.0.0.1', ...options });
  client.on('error', () => undefined);
  cleanUps.push(
    () => void client.destroy(),
    () => listener.close(),
  );
  return { server, client, connection: await accepted.promise };
}

describe('TcpNetwork', () => {
  it('cuts a peer that announces a frame beyond the limit', async () => {
    const { server, client } = await withBareClient();
    client.write('GET / HTTP/1.1\r\n\r\n');
    const error = await server.closed;
    expect(error?.code).toBe('NETWORK_CLOSED');
    expect(error?.message).toContain('too large');
    expect(server.frames).toEqual([]);
  });

  it('reports a peer that ends in the middle of a frame, and one that is cut off', async () => {
    const ended = await withBareClient();
    ended.client.end(new Uint8Array([10, 0, 0, 0, 1]));
    expect((await ended.server.closed)?.message).toContain('in the middle of a frame');
    const cut = await withBareClient();
    cut.client.resetAndDestroy();
    expect(await cut.server.closed).toMatchObject({
      code: 'NETWORK_CLOSED',
      message: expect.stringContaining('ECONNRESET') as string,
    });
  });

  it('takes a peer that ends between frames as closed without an error', async () => {
    const { server, client } = await withBareClient();
    client.end(new Uint8Array([1, 0, 0, 0, 7]));
    expect(await server.closed).toBeUndefined();
    expect(server.frames).toEqual([new Uint8Array([7])]);
  });

  it('ends a connection whose peer never reads, at a bounded queue', async () => {
    const { server, client, connection } = await withBareClient();
    client.pause();
    const frame = new Uint8Array(8 * 1024 * 1024);
    const send = async (): Promise<void> => {
      for (let sentBytes = 0; sentBytes < 2 * NETWORK_QUEUE_BYTES_MAX; sentBytes += frame.length) {
        connection.send(frame);
      }
    };
    await expect(send()).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
    expect((await server.closed)?.message).toContain('does not read');
    await connection.drained();
  });

  it('cuts a peer that has ended its side and does not read', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    cleanUps.push(() => void vi.useRealTimers());
    const { server, client, connection } = await withBareClient({ allowHalfOpen: true });
    client.pause();
    for (let count = 0; count < 20; count++) connection.send(new Uint8Array(1024 * 1024));
    client.end();
    while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(CLOSE_TIMEOUT_MS);
    await connection.drained();
    expect(await server.closed).toBeUndefined();
  });

  it('goes on listening when newcomers cannot be taken in', async () => {
    const listen = vi.spyOn(Server.prototype, 'listen');
    const listener = await network.listen('127.0.0.1:0', () => watch().events);
    cleanUps.push(() => listener.close());
    const server = listen.mock.contexts[0] as Server;
    listen.mockRestore();
    for (let count = 0; count < 3; count++) server.emit('error', new Error('accept ENFILE'));
    const connection = await network.connect(listener.address, 5000, watch().events);
    expect(connection.remoteAddress).toBe(listener.address);
    connection.close();
  });

  it('sends what is sent in one turn in one piece', async () => {
    const { client, connection } = await withBareClient();
    for (let index = 0; index < 100; index++) connection.send(new Uint8Array([index]));
    const [chunk] = (await once(client, 'data')) as [Buffer];
    expect(chunk.length).toBe(500);
  });

  it('does not reach an address that leads nowhere', async () => {
    const unreachable = { code: 'NETWORK_UNREACHABLE' };
    for (const address of ['name.invalid:9', 'no-port', '127.0.0.1:99999']) {
      const connecting = network.connect(address, 5000, watch().events);
      await expect(connecting).rejects.toMatchObject(unreachable);
    }
    // Not an address of this machine.
    const listening = network.listen('192.0.2.1:0', () => watch().events);
    await expect(listening).rejects.toMatchObject(unreachable);
  });

  it('stops waiting for a host that does not answer', async () => {
    // A process that listens and never accepts: when its queue is full the kernel answers no more.
    const program = `const server = require('node:net').createServer();
      server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
        require('node:fs').writeSync(1, String(server.address().port));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    const child = spawn(process.execPath, ['-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    cleanUps.push(() => void child.kill('SIGKILL'));
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    const connecting = Array.from({ length: 8 }, () =>
      network.connect(`127.0.0.1:${port.toString()}`, 300, watch().events),
    );
    const outcomes = await Promise.allSettled(connecting);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) {
      expect(reason).toMatchObject({
        code: 'NETWORK_UNREACHABLE',
        message: expect.stringContaining('300 ms') as string,
      });
    }
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') outcome.value.close();
    }
  });

  it('closes cleanly against a peer that says nothing', async () => {
    const silent = createServer((socket) => socket.resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    cleanUps.push(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const client = watch();
    const connection = await network.connect(`127.0.0.1:${port}`, 5000, client.events);
    connection.close();
    expect(await client.closed).toBeUndefined();
  });

  it('speaks IPv6', async () => {
    const server = watch();
    const listener = await network.listen('[::1]:0', () => server.events);
    cleanUps.push(() => listener.close());
    expect(listener.address).toMatch(/^\[::1\]:\d+$/);
    const connection = await network.connect(listener.address, 5000, watch().events);
    connection.send(new Uint8Array([1]));
    connection.close();
    expect(await server.closed).toBeUndefined();
    expect(server.frames).toEqual([new Uint8Array([1])]);
  });
});
