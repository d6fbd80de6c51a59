/** Clients that are gone in the middle of a body: no object, no space lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { randomBytesOf } from './harness/random-bytes.ts';
import { openSocket, signedHead, type RequestShape } from './harness/raw-http.ts';
import { drawSeed } from './harness/scale.ts';
import { serveBucket } from './harness/served-bucket.ts';
import { SeededDraw } from './harness/seeded-draw.ts';

const MIB = 1024 * 1024;
const Bucket = 'vanishing';
const served = serveBucket({ name: 'vanishing', bucket: Bucket, size: '2GiB' });
const draw = new SeededDraw(drawSeed('vanishing'));

/** Begins a PUT of 24 MiB and is gone somewhere in it. */
async function vanish(request: RequestShape): Promise<void> {
  const socket = await openSocket(served.server);
  const body = randomBytesOf('vanishing', 24 * MIB);
  const sizeBytes = draw.integer(0, body.length);
  const isChunked = draw.fraction() < 0.5;
  const framing: Record<string, string> = isChunked
    ? { 'transfer-encoding': 'chunked' }
    : { 'content-length': String(body.length) };
  if (isChunked) framing['x-amz-decoded-content-length'] = String(body.length);
  const payload = isChunked ? 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' : 'UNSIGNED-PAYLOAD';
  socket.write(signedHead(served.server, { ...request, payload }, framing));
  const part = body.subarray(0, sizeBytes);
  const opening = isChunked ? `1800010\r\n1800000\r\n` : '';
  await new Promise((resolve) => {
    socket.write(opening);
    socket.write(part, resolve);
    socket.once('close', resolve);
  });
  if (draw.fraction() < 0.5) socket.resetAndDestroy();
  else socket.destroy();
}

/** Bytes that live records take, once they have stopped shrinking or are down to `goal`. */
async function settledLiveBytes(goal: number): Promise<number> {
  for (let attempt = 0; attempt < 120; attempt += 1) {
    if ((await served.server.liveBytes()) <= goal) break;
    await sleep(500);
  }
  return served.server.liveBytes();
}

test('forty uploads that break off leave neither an object nor a byte behind', async () => {
  const before = await served.server.liveBytes();
  for (let round = 0; round < 10; round += 1) {
    const path = `/${Bucket}/vanished-${round}`;
    await Promise.all([1, 2, 3, 4].map(() => vanish({ method: 'PUT', path })));
  }
  const { KeyCount } = await served.client.send(new ListObjectsV2Command({ Bucket }));
  expect(KeyCount).toBe(0);
  // An intent record or two may still wait for the collector; chunks of 4 MiB must not.
  expect(await settledLiveBytes(before + MIB / 4)).toBeLessThanOrEqual(before + MIB / 4);
});

test('parts that break off, and the upload that is aborted after them, leave nothing', async () => {
  const before = await served.server.liveBytes();
  const Key = 'in-parts';
  const { UploadId = '' } = await served.client.send(
    new CreateMultipartUploadCommand({ Bucket, Key }),
  );
  const query = `partNumber=1&uploadId=${encodeURIComponent(UploadId)}`;
  for (let round = 0; round < 5; round += 1) {
    await vanish({ method: 'PUT', path: `/${Bucket}/${Key}`, query });
  }
  await served.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  const { Uploads } = await served.client.send(new ListMultipartUploadsCommand({ Bucket }));
  expect(Uploads ?? []).toEqual([]);
  expect(await settledLiveBytes(before + MIB / 4)).toBeLessThanOrEqual(before + MIB / 4);
});

test('an object that is being overwritten by a client that vanishes stays as it was', async () => {
  const Key = 'overwritten';
  const body = randomBytesOf('stays', 9 * MIB);
  const { ETag } = await served.client.send(new PutObjectCommand({ Bucket, Key, Body: body }));
  for (let round = 0; round < 5; round += 1)
    await vanish({ method: 'PUT', path: `/${Bucket}/${Key}` });
  const { Contents } = await served.client.send(new ListObjectsV2Command({ Bucket, Prefix: Key }));
  expect(Contents?.map((entry) => [entry.ETag, entry.Size])).toEqual([[ETag, body.length]]);
});
