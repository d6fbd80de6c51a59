/** A device that is full: writes are refused in words, reads and deletes go on, writes come back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectsCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { randomBytesOf } from './harness/random-bytes.ts';
import { serveBucket } from './harness/served-bucket.ts';
import { refusalOf } from './harness/sdk-client.ts';

const KIB = 1024;
const Bucket = 'full';
const served = serveBucket({ name: 'full', bucket: Bucket, size: '1GiB' });
/** Objects of 48 KiB that the room takes which the large objects leave. */
let smallCount = 0;

/** Puts objects of one size under numbered keys until one is refused. @returns how many there are. */
async function fill(
  prefix: string,
  sizeBytes: number,
): Promise<{ count: number; refusal: string }> {
  let count = 0;
  let refusal = '';
  const fillOn = async (): Promise<void> => {
    while (refusal === '') {
      const index = count;
      count += 1;
      const Body = randomBytesOf(`${prefix}${index}`, sizeBytes);
      const put = new PutObjectCommand({ Bucket, Key: `${prefix}${index}`, Body });
      const outcome = await refusalOf(served.client.send(put));
      if (outcome !== 'not refused') refusal = outcome;
    }
  };
  await Promise.all(Array.from({ length: 8 }, fillOn));
  return { count, refusal };
}

async function isWhole(Key: string, sizeBytes: number): Promise<boolean> {
  const { Body } = await served.client.send(new GetObjectCommand({ Bucket, Key }));
  const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
  return bytes.equals(randomBytesOf(Key, sizeBytes));
}

test('a full device refuses with 507, reads and deletes go on, and then writes do again', async () => {
  const large = await fill('large/', 9 * 1024 * KIB);
  expect(large.refusal).toMatch(/^507 /);
  const small = await fill('small/', 48 * KIB);
  smallCount = small.count;
  expect(small.refusal).toMatch(/^507 /);
  expect(await isWhole('large/0', 9 * 1024 * KIB)).toBe(true);

  // A restart finds the full device as it was.
  await served.restart();
  expect(await isWhole('large/1', 9 * 1024 * KIB)).toBe(true);

  const Objects = Array.from({ length: small.count }, (_, index) => ({ Key: `small/${index}` }));
  for (let at = 0; at < Objects.length; at += 1_000) {
    const some = Objects.slice(at, at + 1_000);
    const { Errors } = await served.client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: some } }),
    );
    expect(Errors ?? []).toEqual([]);
  }
  const Body = randomBytesOf('again', 48 * KIB);
  let outcome = '';
  for (let attempt = 0; attempt < 60 && outcome !== 'not refused'; attempt += 1) {
    outcome = await refusalOf(
      served.client.send(new PutObjectCommand({ Bucket, Key: 'again', Body })),
    );
    if (outcome !== 'not refused') await sleep(1_000);
  }
  expect(outcome).toBe('not refused');
  expect(await isWhole('again', 48 * KIB)).toBe(true);
});

test('overwriting one small set of objects for a long time does not fill the device', async () => {
  // A gigabyte, many times the room that is left, into a quarter of that room.
  const keys = Math.max(1, Math.min(64, Math.floor(smallCount / 4)));
  const rounds = 60;
  const keyCount = 256;
  for (let round = 0; round < rounds; round += 1) {
    const puts = Array.from({ length: keyCount }, (_, index) => {
      const Key = `over/${index % keys}`;
      const Body = randomBytesOf(`${round}/${index}`, 60 * KIB);
      return refusalOf(served.client.send(new PutObjectCommand({ Bucket, Key, Body })));
    });
    expect(new Set(await Promise.all(puts))).toEqual(new Set(['not refused']));
  }
});
