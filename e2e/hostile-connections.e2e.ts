/** Noise, slowness and crowds: the server stays up, stays small, and goes on answering. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { exchange, openSocket, readAnswer, signedHead } from './harness/raw-http.ts';
import { scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';
import { sdkClient } from './harness/sdk-client.ts';

const MIB = 1024 * 1024;
const SLOW_CLIENTS = 100;
/** More than the budget of downloads holds: some stand in line, and nobody else does. */
const STALLED_READERS = 100;
const scratch = new Scratch('hostile');
let server: DozoServer;
let client: S3Client;
let slowClients: Promise<void>;

/** Sends a head, one byte a second, for ever. Resolves when the server has had enough. */
async function dribble(): Promise<void> {
  const socket = await openSocket(server);
  const head = `GET / HTTP/1.1\r\nhost: x\r\nx-slow: ${'z'.repeat(10_000)}`;
  let sent = 0;
  const timer = setInterval(() => socket.write(head[sent++] ?? 'z'), 1_000);
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
  clearInterval(timer);
}

async function stillServes(): Promise<boolean> {
  const target = { Bucket: 'hostile', Key: 'honest' };
  await client.send(new PutObjectCommand({ ...target, Body: 'honest' }));
  const { Body } = await client.send(new GetObjectCommand(target));
  return (await Body?.transformToString()) === 'honest';
}

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '1GiB' });
  client = sdkClient(server);
  await client.send(new CreateBucketCommand({ Bucket: 'hostile' }));
  // They need a while to be found out; meanwhile the other tests run.
  slowClients = Promise.all(Array.from({ length: SLOW_CLIENTS }, dribble)).then(() => undefined);
});

afterAll(async () => {
  client.destroy();
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test.each([
  ['random bytes', randomBytes(100_000)],
  ['a TLS greeting', Buffer.from('16030100a5010000a10303', 'hex')],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a request line without end', `GET /${'a'.repeat(200_000)}`],
  ['a header without end', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(200_000)}`],
  ['headers without end', `GET / HTTP/1.1\r\nhost: x\r\n${'x: y\r\n'.repeat(50_000)}`],
  [
    'two lengths',
    'PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
  ],
  [
    'length and chunks',
    'PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a negative length', 'PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n'],
  ['NUL in the path', 'GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n'],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ['an absolute path of another host', 'GET http://other.example/ HTTP/1.1\r\nhost: x\r\n\r\n'],
])('%s is refused or cut off', async (_, bytes) => {
  const answer = await exchange(server, bytes, { isOver: true });
  expect(answer.status === 0 || (answer.status >= 400 && answer.status < 500)).toBe(true);
  expect(await stillServes()).toBe(true);
});

test('a body whose HTTP chunks are nonsense stores nothing', async () => {
  const request = { method: 'PUT', path: '/hostile/nonsense', payload: 'UNSIGNED-PAYLOAD' };
  const head = signedHead(server, request, { 'transfer-encoding': 'chunked' });
  const answer = await exchange(server, [head, 'nonsense\r\n'], { isOver: true });
  expect(answer.status).not.toBe(200);
  expect(await stillServes()).toBe(true);
});

test('requests that are sent before the last answer came are answered in order', async () => {
  const socket = await openSocket(server);
  const head = signedHead(server, { method: 'GET', path: '/hostile/honest' });
  socket.write(head.repeat(50));
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  while (text.split('HTTP/1.1 200').length <= 50 && !socket.closed) await once(socket, 'data');
  expect(text.split('HTTP/1.1 200')).toHaveLength(51);
  socket.destroy();
});

test('a reader that stops reading keeps no more than a little of the object in memory', async () => {
  const Key = 'large';
  await client.send(new PutObjectCommand({ Bucket: 'hostile', Key, Body: Buffer.alloc(64 * MIB) }));
  const before = server.residentBytes();
  const request = signedHead(server, { method: 'GET', path: '/hostile/large' });
  const readers: Socket[] = [];
  for (let count = 0; count < STALLED_READERS; count += 1) {
    const socket = await openSocket(server);
    socket.pause();
    socket.write(request);
    readers.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  // All of them together would be 6.7 GB.
  expect(server.residentBytes() - before).toBeLessThan(400 * MIB);
  expect(await stillServes()).toBe(true);
  for (const socket of readers) socket.destroy();
});

test(`${scale.connectionCount} idle connections take bounded memory, and known clients go on`, async () => {
  expect(await stillServes()).toBe(true);
  const before = server.residentBytes();
  const sockets: Socket[] = [];
  for (let opened = 0; opened < scale.connectionCount; opened += 250) {
    sockets.push(...(await Promise.all(Array.from({ length: 250 }, () => openSocket(server)))));
  }
  // Half of them have begun a request and do not end it.
  sockets.forEach((socket, index) => {
    if (index % 2 === 0 && socket.writable) socket.write('GET / HTTP/1.1\r\nhost: x\r\n');
  });
  expect(await stillServes()).toBe(true);
  const perConnection = (server.residentBytes() - before) / scale.connectionCount;
  console.log(`hostile: ${Math.round(perConnection)} bytes of memory for each idle connection`);
  expect(server.residentBytes() - before).toBeLessThan(500 * MIB);
  for (const socket of sockets) socket.destroy();
  // A newcomer finds a place again.
  const newcomer = await openSocket(server);
  newcomer.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  expect((await readAnswer(newcomer)).status).toBe(403);
  newcomer.destroy();
});

test(`${SLOW_CLIENTS} clients that send a byte a second are cut off, and cost nobody anything`, async () => {
  expect(await stillServes()).toBe(true);
  await slowClients;
  expect(await stillServes()).toBe(true);
});
