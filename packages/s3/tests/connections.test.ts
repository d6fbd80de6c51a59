/**
 * Clients that go away, lie about lengths, or come in crowds; devices that are full or broken.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { PlacementGroup } from '@dozo/osd';
import { TransactionError } from '@dozo/replica';
import type { Transaction, TransactionStore } from '@dozo/replica';
import { ModelEngine } from '@dozo/simulator';
import { afterEach, describe, expect, it } from 'vitest';
import type { S3Limits } from '../src/index.ts';
import { POOLS, startGateway } from './gateway-harness.ts';
import type { Harness } from './gateway-harness.ts';
import { readAll } from './s3-client.ts';
import type { TestResponse } from './s3-client.ts';
import { checkStore } from './store-checker.ts';

let harness: Harness | undefined;

afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function start(
  options: { readonly limits?: Partial<S3Limits>; readonly store?: TransactionStore } = {},
): Promise<Harness> {
  harness = await startGateway({
    ...options,
    limits: { garbageDelayMs: 0, collectorStepMs: 5, ...options.limits },
  });
  expect((await harness.client.put('/bucket', '')).status).toBe(200);
  return harness;
}

/** A placement group whose transactions and reads pass through the test's hands. */
class HookedStore implements TransactionStore {
  readonly #inner = new PlacementGroup({ engine: new ModelEngine() });
  onTransact: (transaction: Transaction) => Promise<void> | undefined = () => undefined;
  onChunkRead: () => Promise<'gone' | undefined> | undefined = () => undefined;

  async transact(transaction: Transaction): ReturnType<TransactionStore['transact']> {
    await this.onTransact(transaction);
    return this.#inner.transact(transaction);
  }
  get: TransactionStore['get'] = async (shard, key, range) => {
    if (shard.pool === POOLS.data && (await this.onChunkRead()) === 'gone') return undefined;
    return this.#inner.get(shard, key, range);
  };
  stat: TransactionStore['stat'] = (shard, key) => this.#inner.stat(shard, key);
  scan: TransactionStore['scan'] = (shard, range) => this.#inner.scan(shard, range);
  routingKeys: TransactionStore['routingKeys'] = (pool, after) =>
    this.#inner.routingKeys(pool, after);
}

const LONG = 'long '.repeat(200);

describe('a client that vanishes', () => {
  it.each([50, 1000])('in the middle of %i bytes leaves nothing behind', async (size) => {
    const { client, store, gateway } = await start();
    await new Promise<void>((resolve) => {
      const request = client.begin(
        {
          method: 'PUT',
          path: '/bucket/half',
          payloadHash: 'UNSIGNED-PAYLOAD',
          contentLength: size,
        },
        () => undefined,
      );
      request.on('error', () => {
        resolve();
      });
      request.write(Buffer.alloc(size - 10), () => {
        setTimeout(() => request.destroy(new Error('gone')), 20);
      });
    });
    await expect.poll(() => gateway.stats().runningCount).toBe(0);
    expect(gateway.stats().heldBytes).toBe(0);
    expect((await client.get('/bucket/half')).code).toBe('NoSuchKey');
    await expect.poll(() => checkStore(store)).toEqual([]);
  });

  it('while it reads gives back what it held', async () => {
    const { client, gateway } = await start({ limits: { chunkBytes: 1024 * 1024 } });
    await client.put('/bucket/large', Buffer.alloc(30_000_000, 'x'));
    await new Promise<void>((resolve) => {
      const request = client.begin({ method: 'GET', path: '/bucket/large' }, (response) => {
        response.once('data', () => {
          request.destroy();
          resolve();
        });
        response.on('error', () => undefined);
      });
      request.on('error', () => undefined);
      request.end();
    });
    await expect.poll(() => gateway.stats()).toMatchObject({ runningCount: 0, heldBytes: 0 });
  });
});

describe('a client that vanishes while it stands in line', () => {
  it.each([
    ['for bytes', LONG, { bodyBytes: 200 }],
    ['for a slot', 'short', { requestSlots: 1 }],
    ['for a slot', LONG, { requestSlots: 1 }],
  ] as const)('%s, with "%.5s", gives back what it got', async (_, body, limits) => {
    const { client, gateway, store } = await start({ limits: { ...limits, inlineBytesMax: 64 } });
    // Takes everything there is, and waits.
    const holder = client.begin(
      {
        method: 'PUT',
        path: '/bucket/holder',
        payloadHash: 'UNSIGNED-PAYLOAD',
        contentLength: 1000,
      },
      (response) => response.resume(),
    );
    const ended = new Promise((resolve) => holder.on('close', resolve));
    holder.on('error', () => undefined);
    holder.write(Buffer.alloc(10));
    await expect.poll(() => gateway.stats().runningCount).toBe(1);
    const leaver = client.begin({ method: 'PUT', path: '/bucket/leaver', body }, () => undefined);
    leaver.on('error', () => undefined);
    leaver.end(body);
    await expect.poll(() => gateway.stats().waitingCount).toBe(1);
    leaver.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    holder.end(Buffer.alloc(990));
    await ended;
    const idle = { runningCount: 0, waitingCount: 0, heldBytes: 0 };
    await expect.poll(() => gateway.stats()).toMatchObject(idle);
    expect((await client.head('/bucket/holder')).status).toBe(200);
    expect((await client.head('/bucket/leaver')).status).toBe(404);
    await expect.poll(() => checkStore(store)).toEqual([]);
  });
});

describe('a body', () => {
  it('that is shorter or longer than it says changes nothing', async () => {
    const { client, port } = await start();
    await client.put('/bucket/kept', 'kept');
    const wrong = { 'x-amz-content-sha256': '0'.repeat(64) };
    expect(wrong).toBeDefined();
    const mismatch = await client.send({
      method: 'PUT',
      path: '/bucket/kept',
      body: LONG,
      payloadHash: '0'.repeat(64),
    });
    expect(mismatch.code).toBe('XAmzContentSHA256Mismatch');
    const md5 = { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' };
    expect((await client.put('/bucket/kept', LONG, md5)).code).toBe('BadDigest');
    const none = await client.send({
      method: 'PUT',
      path: '/bucket/kept',
      headers: { 'transfer-encoding': 'chunked' },
      contentLength: 'none',
      payloadHash: 'UNSIGNED-PAYLOAD',
      body: 'x',
    });
    expect(none.code).toBe('MissingContentLength');
    const huge = await client.send({
      method: 'PUT',
      path: '/bucket/kept',
      payloadHash: 'UNSIGNED-PAYLOAD',
      contentLength: 6 * 1024 ** 3,
      headers: { expect: '100-continue' },
    });
    expect(huge.code).toBe('EntityTooLarge');
    expect(await rawAnswer(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
    expect((await client.get('/bucket/kept')).text).toBe('kept');
  });

  it('that is refused early does not cost the connection', async () => {
    const { client } = await start();
    const refused = await client.put('/nobucket/key', Buffer.alloc(500_000));
    expect(refused.code).toBe('NoSuchBucket');
    expect(refused.headers['connection']).toBe('keep-alive');
    expect((await client.head('/bucket')).status).toBe(200);
  });

  it('is asked for only when the request is allowed', async () => {
    const { client } = await start();
    const ask = (path: string): Promise<{ continued: boolean; answer: TestResponse }> =>
      new Promise((resolve, reject) => {
        let continued = false;
        const headers = { expect: '100-continue' };
        const body = Buffer.from(LONG);
        const request = client.begin({ method: 'PUT', path, headers, body }, (response) => {
          readAll(response).then((answer) => {
            resolve({ continued, answer });
          }, reject);
        });
        request.on('continue', () => {
          continued = true;
          request.end(body);
        });
        request.on('error', reject);
        request.flushHeaders();
      });
    const allowed = await ask('/bucket/asked');
    expect(allowed.continued).toBe(true);
    expect(allowed.answer.status).toBe(200);
    const refused = await ask('/nobucket/asked');
    expect(refused.continued).toBe(false);
    expect(refused.answer.code).toBe('NoSuchBucket');
    expect(refused.answer.headers['connection']).toBe('close');
  });

  it('that was asked for and is wrong in the middle does not cost the connection', async () => {
    const { port, client } = await start();
    await client.put('/bucket/next', 'next');
    const bodyBytes = 3_000_000;
    const signed = client.signed('PUT', '/bucket/wrong', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', {
      expect: '100-continue',
      'content-length': String(bodyBytes),
      'x-amz-decoded-content-length': String(bodyBytes - 100),
    });
    const next = client.signed('GET', '/bucket/next', 'UNSIGNED-PAYLOAD', { connection: 'close' });
    const answers = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(signed));
      let answer = '';
      socket.once('data', () => {
        // The first line is no size of a chunk; what follows is sent all the same, and slowly.
        const body = Buffer.alloc(bodyBytes, 'z');
        socket.write(body.subarray(0, 100_000));
        setTimeout(() => {
          socket.write(body.subarray(100_000));
          socket.write(next);
        }, 50);
      });
      socket.on('data', (piece) => (answer += piece.toString()));
      socket.on('end', () => {
        resolve(answer);
      });
      socket.on('error', reject);
    });
    expect(answers).toMatch(
      /^HTTP\/1.1 100 .*HTTP\/1.1 400 .*InvalidChunkSizeError.*200 OK.*next$/s,
    );
  });

  it('of a copy may take longer than a client may be silent', async () => {
    const store = new HookedStore();
    const { client } = await start({ store, limits: { stallTimeoutMs: 60 } });
    await client.put('/bucket/source', LONG);
    store.onChunkRead = () => new Promise((resolve) => setTimeout(resolve, 30, undefined));
    const copy = await client.put('/bucket/copy', '', { 'x-amz-copy-source': '/bucket/source' });
    expect(copy.status).toBe(200);
    store.onChunkRead = () => undefined;
    expect((await client.get('/bucket/copy')).text).toBe(LONG);
  });

  it('that stops moving ends its connection', async () => {
    const { client, gateway, store } = await start({ limits: { stallTimeoutMs: 60 } });
    const broken = new Promise<string>((resolve) => {
      const request = client.begin(
        {
          method: 'PUT',
          path: '/bucket/stalled',
          payloadHash: 'UNSIGNED-PAYLOAD',
          contentLength: 1000,
        },
        () => {
          resolve('answered');
        },
      );
      request.on('error', () => {
        resolve('broken');
      });
      request.write(Buffer.alloc(200));
    });
    expect(await broken).toBe('broken');
    await expect.poll(() => gateway.stats().runningCount).toBe(0);
    await expect.poll(() => checkStore(store)).toEqual([]);
  });
});

describe('a crowd', () => {
  it('is admitted by slots; who waits too long or in too long a line is told to slow down', async () => {
    const store = new HookedStore();
    const limits = { requestSlots: 2, waitingRequests: 3, waitingMs: 30 };
    const { client, gateway } = await start({ store, limits });
    const open = Promise.withResolvers<undefined>();
    store.onTransact = (transaction) =>
      transaction.routingKey.length === 10 ? open.promise.then(() => undefined) : undefined;
    const puts = Array.from({ length: 8 }, (_, index) =>
      client.put(`/bucket/${String(index)}`, 'x'),
    );
    await expect.poll(() => gateway.stats().slowDownCount).toBe(6);
    expect(gateway.stats().runningCount).toBe(2);
    open.resolve(undefined);
    const answers = await Promise.all(puts);
    expect(answers.filter(({ code }) => code === 'SlowDown')).toHaveLength(6);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
    const slow = answers.find(({ code }) => code === 'SlowDown');
    expect(slow).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  });

  it('holds no more bytes of bodies than there are, and all get through', async () => {
    const { client, gateway } = await start({ limits: { bodyBytes: 500 } });
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, gateway.stats().heldBytes)), 1);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => client.put(`/bucket/${String(index)}`, LONG)),
    );
    clearInterval(watch);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(most).toBeLessThanOrEqual(500);
    expect(gateway.stats().heldBytes).toBe(0);
  });

  it('of uploads that stand still holds up neither small requests nor downloads', async () => {
    const limits = { bodyBytes: 200, waitingRequests: 0 };
    const { client, gateway } = await start({ limits });
    await client.put('/bucket/long', LONG);
    const stalled = client.begin(
      { method: 'PUT', path: '/bucket/s', payloadHash: 'UNSIGNED-PAYLOAD', contentLength: 1000 },
      () => undefined,
    );
    stalled.on('error', () => undefined);
    stalled.write(Buffer.alloc(10));
    await expect.poll(() => gateway.stats().heldBytes).toBe(200);
    expect(await client.put('/bucket/other', LONG)).toMatchObject({ code: 'SlowDown' });
    expect((await client.put('/bucket/small', 'short')).status).toBe(200);
    expect((await client.get('/bucket/long')).text).toBe(LONG);
    stalled.destroy();
    await expect.poll(() => gateway.stats().heldBytes).toBe(0);
  });

  it('of downloads that stand still holds up neither small requests nor uploads', async () => {
    const store = new HookedStore();
    const limits = { readBytes: 200, readSliceBytes: 100, waitingRequests: 0 };
    const { client, gateway } = await start({ store, limits });
    await client.put('/bucket/long', LONG);
    const open = Promise.withResolvers<undefined>();
    store.onChunkRead = () => open.promise;
    const stalled = client.get('/bucket/long');
    await expect.poll(() => gateway.stats().heldBytes).toBe(200);
    expect(await client.get('/bucket/long')).toMatchObject({ code: 'SlowDown' });
    expect((await client.put('/bucket/small', 'short')).status).toBe(200);
    expect((await client.put('/bucket/other', LONG)).status).toBe(200);
    open.resolve(undefined);
    expect((await stalled).text).toBe(LONG);
    await expect.poll(() => gateway.stats().heldBytes).toBe(0);
  });

  it('of connections beyond the limit is turned away', async () => {
    const { port } = await start({ limits: { connections: 5 } });
    const sockets = await Promise.all(Array.from({ length: 12 }, () => openSocket(port)));
    await expect.poll(() => sockets.filter((socket) => !socket.destroyed).length).toBeLessThan(6);
    for (const socket of sockets) socket.destroy();
  });

  it('of idle connections and half requests is cut off', async () => {
    const limits = { headersTimeoutMs: 50, idleTimeoutMs: 50, stallTimeoutMs: 50 };
    const { port } = await start({ limits });
    const idle = await openSocket(port);
    const half = await openSocket(port);
    half.write('GET / HTTP/1.1\r\nHost:');
    await expect.poll(() => idle.destroyed && half.destroyed, { timeout: 5000 }).toBe(true);
  });
});

describe('a stop', () => {
  it('lets running requests end and closes idle connections', async () => {
    const store = new HookedStore();
    const { client, gateway, port } = await start({ store });
    const idle = await openSocket(port);
    const open = Promise.withResolvers<undefined>();
    store.onTransact = () => open.promise.then(() => undefined);
    const running = client.put('/bucket/late', 'x');
    await expect.poll(() => gateway.stats().runningCount).toBe(1);
    const stopped = gateway.stop();
    await expect.poll(() => idle.destroyed).toBe(true);
    open.resolve(undefined);
    expect((await running).status).toBe(200);
    await stopped;
    await expect(openSocket(port)).rejects.toThrow('ECONNREFUSED');
  });

  it('cuts off what does not end in time', async () => {
    const store = new HookedStore();
    const { client, gateway, complaints } = await start({ store, limits: { stopTimeoutMs: 20 } });
    const open = Promise.withResolvers<undefined>();
    store.onTransact = () => open.promise.then(() => undefined);
    const running = client.put('/bucket/late', 'x').catch(() => 'cut');
    await expect.poll(() => gateway.stats().runningCount).toBe(1);
    await gateway.stop();
    expect(await running).toBe('cut');
    expect(complaints.some(({ message }) => message.includes('cut off'))).toBe(true);
    open.resolve(undefined);
  });
});

describe('a device', () => {
  it('that is full refuses puts with 507 and lets deletes make room', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine({ capacityBytes: 20_000 }) });
    const { client } = await start({ store });
    let count = 0;
    let last = await client.put('/bucket/0', LONG);
    while (last.status === 200) {
      count += 1;
      last = await client.put(`/bucket/${String(count)}`, LONG);
    }
    expect(last).toMatchObject({ status: 507, code: 'InsufficientStorage' });
    expect(count).toBeGreaterThan(3);
    expect((await client.put('/bucket/small', 'x'.repeat(60))).status).toBeGreaterThan(199);
    for (let index = 0; index < count; index += 1) {
      expect((await client.delete(`/bucket/${String(index)}`)).status).toBe(204);
    }
    expect((await client.put('/bucket/again', LONG)).status).toBe(200);
    await expect.poll(() => checkStore(store)).toEqual([]);
  });

  it.each([
    ['STORE_FAILED', 500, 'InternalError'],
    ['STORE_BUSY', 503, 'SlowDown'],
    ['STORE_CLOSED', 503, 'ServiceUnavailable'],
  ] as const)('that says %s is told as %i %s', async (code, status, s3Code) => {
    const store = new HookedStore();
    const { client } = await start({ store, limits: { collectorStepMs: 60_000 } });
    store.onTransact = () => Promise.reject(new TransactionError('refused', { code }));
    expect(await client.put('/bucket/x', 'x')).toMatchObject({ status, code: s3Code });
    expect(await client.put('/bucket/x', LONG)).toMatchObject({ status, code: s3Code });
  });

  it('that lost the first chunk is told in words, one that loses a later one by the connection', async () => {
    const store = new HookedStore();
    const { client, complaints } = await start({ store });
    await client.put('/bucket/lost', LONG);
    let reads = 0;
    let goneFrom = 1;
    store.onChunkRead = () => {
      reads += 1;
      return Promise.resolve(reads >= goneFrom ? 'gone' : undefined);
    };
    expect(await client.get('/bucket/lost')).toMatchObject({ status: 500, code: 'InternalError' });
    reads = 0;
    goneFrom = 3;
    await expect(client.get('/bucket/lost')).rejects.toThrow();
    expect(complaints.length).toBeGreaterThanOrEqual(2);
    reads = 0;
    goneFrom = 1;
    const damaged = new TransactionError('damaged', { code: 'VALUE_DAMAGED' });
    store.onChunkRead = () => Promise.reject(damaged);
    expect(await client.get('/bucket/lost')).toMatchObject({ status: 500, code: 'InternalError' });
  });
});

it('counts a wish for what is not implemented to the client, and does not log it', async () => {
  const { client, gateway, complaints } = await start();
  const answer = await client.get('/bucket', {}, 'inventory');
  expect([answer.status, answer.code]).toEqual([501, 'NotImplemented']);
  expect(gateway.stats()).toMatchObject({ clientErrorCount: 1, serverErrorCount: 0 });
  expect(complaints).toEqual([]);
});

it('serves what was replaced and collected between entry and first chunk as it is now', async () => {
  const store = new HookedStore();
  const { client } = await start({ store });
  await client.put('/bucket/moving', LONG);
  let hasRun = false;
  store.onChunkRead = async () => {
    if (hasRun) return undefined;
    hasRun = true;
    await client.put('/bucket/moving', 'now short');
    return 'gone';
  };
  expect((await client.get('/bucket/moving')).text).toBe('now short');
});

function openSocket(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      resolve(socket);
    });
    socket.on('error', reject);
    socket.resume();
  });
}

function rawAnswer(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (piece) => (answer += piece.toString()));
    socket.on('end', () => {
      resolve(answer);
    });
    socket.on('error', reject);
  });
}
