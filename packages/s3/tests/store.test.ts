import { describe, expect, it } from 'vitest';
import { PlacementGroup } from '@dozo/osd';
import { ModelEngine } from '@dozo/simulator';
import { HEADER_KEY, shardRoutingKey } from '../src/store/keys.ts';
import { decodeHeader, encodeHeader } from '../src/store/records.ts';
import { POOLS } from './gateway-harness.ts';
import { checkStore } from './store-checker.ts';
import { bodyOf, outcomeOf, putObject, putPart, walk, World } from './store-world.ts';
import type { Process } from './store-world.ts';

const NAME = { bucket: 'bucket', key: 'key' };
const LONG = 'long '.repeat(100);

async function worldWithBucket(): Promise<{ readonly world: World; readonly process: Process }> {
  const world = new World('store');
  const process = world.start();
  await process.s3.directory.create('bucket', 'owner');
  return { world, process };
}

describe('collector', () => {
  it('leaves a blob alone as long as a reader of its process holds it, also when it hurries', async () => {
    const { world, process } = await worldWithBucket();
    await putObject(process, NAME, LONG);
    const found = await process.s3.objects.find(NAME);
    const blob = (await process.s3.objects.partsOf(found))?.[0]?.blob;
    if (blob === undefined) throw new Error('a long object is in chunks');
    process.s3.blobs.pin(blob);
    await putObject(process, NAME, 'short');
    expect(await process.s3.collector.relieve()).toMatchObject({ freed: 0, pinned: 1 });
    const slice = { blob, number: 0, start: 0, end: 100 };
    expect(await process.s3.blobs.read(found.shard, slice)).toBeDefined();
    process.s3.blobs.unpin(blob);
    expect(await process.s3.collector.relieve()).toMatchObject({ freed: 1, pinned: 0 });
    expect(await process.s3.blobs.read(found.shard, slice)).toBeUndefined();
    expect(await checkStore(world.store)).toEqual([]);
  });

  it('waits for the garbage delay', async () => {
    const { world, process } = await worldWithBucket();
    await putObject(process, NAME, LONG);
    await process.s3.objects.delete(NAME, undefined);
    await walk(process.s3);
    expect(await checkStore(world.store)).toContain('garbage is left');
    await world.clock.advance(world.limits.garbageDelayMs);
    await walk(process.s3);
    expect(await checkStore(world.store)).toEqual([]);
  });

  it('takes a few shards at a step and comes round to all', async () => {
    const world = new World('steps');
    const process = world.start();
    await process.s3.directory.create('bucket', 'owner');
    let shards = 0;
    let steps = 0;
    Object.assign(process.s3.limits, { collectorStepShards: 5 });
    for (let isLast = false; !isLast; steps += 1) {
      const step = await process.s3.collector.step();
      shards += step.shards;
      isLast = step.isLast;
    }
    expect({ shards, steps }).toEqual({ shards: 16, steps: 4 });
  });

  it('keeps the intent of a writer that is slow but alive', async () => {
    const { world, process } = await worldWithBucket();
    const writer = await process.s3.openBlob(NAME, undefined);
    for (let count = 0; count < 40; count += 1) {
      await world.clock.advance(world.limits.intentRenewMs + 1);
      await writer.write(Buffer.from('drop by drop'));
      await walk(world.start().s3);
    }
    await writer.finish();
    const object = {
      lastModifiedMs: 1,
      sizeBytes: 40 * 12,
      etag: '0'.repeat(32),
      checksum: undefined,
      headers: { userMetadata: [] },
    };
    await process.s3.objects.putChunked(NAME, object, writer, undefined);
    expect(await bodyOf(process, NAME)).toBe('drop by drop'.repeat(40));
  });

  it('sweeps up once more what a sleeper wrote after its intent was marked', async () => {
    const { world, process } = await worldWithBucket();
    const writer = await process.s3.openBlob(NAME, undefined);
    await writer.write(Buffer.alloc(150));
    await world.clock.advance(world.limits.intentStaleMs);
    const collector = world.start();
    await walk(collector.s3);
    // The sleeper wakes up and goes on, without an idea of the time.
    const { shard } = writer;
    await process.s3.blobs.write(shard, writer.ref().blobId, 7, Buffer.alloc(10));
    await world.clock.advance(world.limits.intentSettleMs);
    await walk(collector.s3);
    expect(await checkStore(world.store)).toEqual([]);
  });

  it('removes a header that a sleeper made for a bucket that is gone', async () => {
    const { world, process } = await worldWithBucket();
    const found = await process.s3.directory.open('bucket');
    await process.s3.directory.delete('bucket');
    const routingKey = shardRoutingKey(found.record.bucketId, 3);
    const value = encodeHeader({ state: 'open', epoch: 1, bucketName: 'bucket' });
    await world.store.transact({
      pool: POOLS.index,
      routingKey,
      puts: [{ key: HEADER_KEY, value }],
    });
    expect(await checkStore(world.store)).not.toEqual([]);
    await walk(process.s3);
    expect(await checkStore(world.store)).toEqual([]);
  });
});

describe('sweep', () => {
  it('deletes chunks that nobody names and keeps all others', async () => {
    const { world, process } = await worldWithBucket();
    await putObject(process, NAME, LONG);
    const uploadId = await process.s3.uploads.create(NAME, { userMetadata: [] }, undefined);
    await putPart(process, { ...NAME, uploadId }, 1, LONG);
    const { shard } = await process.s3.objects.find(NAME);
    for (const number of [0, 1, 9]) {
      await process.s3.blobs.write(shard, Buffer.alloc(16, 7), number, Buffer.alloc(3));
    }
    expect(await checkStore(world.store)).toHaveLength(3);
    const report = await process.s3.sweep.run();
    expect(report).toMatchObject({ orphanChunks: 3, missingChunks: 0 });
    expect(await checkStore(world.store)).toEqual([]);
  });

  it('reports chunks that are named and not there', async () => {
    const { process } = await worldWithBucket();
    await putObject(process, NAME, LONG);
    const found = await process.s3.objects.find(NAME);
    const blobId = (await process.s3.objects.partsOf(found))?.[0]?.blob.blobId ?? Buffer.alloc(0);
    await process.s3.blobs.deleteFound(found.shard, blobId);
    const report = await process.s3.sweep.run();
    expect(report.missingChunks).toBe(5);
    expect(report.missing[0]).toMatchObject({ objectKey: 'key', chunkNumber: 0 });
  });
});

describe('a full device', () => {
  it('still deletes objects and uploads, and what a crash leaves the sweep finds', async () => {
    for (const crashes of [false, true]) {
      const engine = new ModelEngine({ capacityBytes: 6000 });
      const world = new World('full', new PlacementGroup({ engine }));
      const process = world.start();
      await process.s3.directory.create('bucket', 'owner');
      await putObject(process, NAME, LONG);
      const uploadId = await process.s3.uploads.create(NAME, { userMetadata: [] }, undefined);
      await putPart(process, { ...NAME, uploadId }, 1, LONG);
      let count = 0;
      while (
        (await outcomeOf(putObject(process, { ...NAME, key: `k${String(count)}` }, 'x'))) === 'ok'
      ) {
        count += 1;
      }
      const dying = world.start();
      if (crashes) {
        let seen = 0;
        dying.wire.beforeTransact = (transaction) => {
          seen += transaction.pool === POOLS.data ? 1 : 0;
          if (seen > 0) dying.wire.isDead = true;
          return undefined;
        };
      }
      expect(await outcomeOf(dying.s3.objects.delete(NAME, undefined))).toBe('ok');
      if (crashes) dying.wire.isDead = false;
      await outcomeOf(dying.s3.uploads.abort({ ...NAME, uploadId }));
      await world.settle();
      const report = await world.start().s3.sweep.run();
      expect(report.orphanChunks + report.orphanUploads > 0).toBe(crashes);
      expect(await checkStore(world.store)).toEqual([]);
    }
  });
});

describe('a device that is full of garbage', () => {
  it('takes the next object at once, and says that it is full only when it is', async () => {
    const engine = new ModelEngine({ capacityBytes: 4000 });
    const world = new World('garbage', new PlacementGroup({ engine }));
    const process = world.start();
    await process.s3.directory.create('bucket', 'owner');
    // Far more than fits, all of it dropped again, and no time for the garbage delay to pass.
    for (let count = 0; count < 30; count += 1) await putObject(process, NAME, LONG);
    for (let count = 0; count < 300; count += 1) {
      const outcome = await outcomeOf(putObject(process, { ...NAME, key: String(count) }, LONG));
      if (outcome === 'ok') continue;
      expect(outcome).toBe('STORE_FULL');
      expect(count).toBeGreaterThan(0);
      break;
    }
    expect(await outcomeOf(putObject(process, { ...NAME, key: 'no' }, LONG))).toBe('STORE_FULL');
    await process.s3.objects.delete(NAME, undefined);
    await world.clock.advance(5_000);
    expect(await outcomeOf(putObject(process, { ...NAME, key: 'yes' }, LONG))).toBe('ok');
    await world.settle();
    expect(await checkStore(world.store)).toEqual([]);
  });
});

describe('bucket headers', () => {
  it.each([
    { headerEpochs: true, attempts: 1 },
    { headerEpochs: false, attempts: 2 },
  ])('with epochs $headerEpochs, a helper that comes late tries $attempts times', async (row) => {
    const { world, process } = await worldWithBucket();
    await putObject(process, NAME, 'small');
    const { record } = await process.s3.directory.open('bucket');
    const last = shardRoutingKey(record.bucketId, 15);
    // A delete finds the object, and its process sleeps before it opens the last header again.
    const sleeper = world.start({ mechanisms: { headerEpochs: row.headerEpochs } });
    const wakeUp = newGate();
    let attempts = 0;
    sleeper.wire.beforeTransact = (transaction) => {
      const value = transaction.puts?.[0]?.value;
      if (Buffer.compare(transaction.routingKey, last) !== 0 || value === undefined)
        return undefined;
      if (decodeHeader(value).state !== 'open') return undefined;
      attempts += 1;
      return wakeUp.promise;
    };
    const slept = outcomeOf(sleeper.s3.directory.delete('bucket'));
    await turns();
    expect(attempts).toBe(1);
    // Others finish what it left, empty the bucket, and have all headers closed for a delete.
    await process.s3.directory.settleAll();
    await process.s3.objects.delete(NAME, undefined);
    const deleter = world.start();
    const decide = newGate();
    let directoryChanges = 0;
    deleter.wire.beforeTransact = (transaction) => {
      if (Buffer.from(transaction.routingKey).toString() !== 'buckets') return undefined;
      directoryChanges += 1;
      return directoryChanges === 2 ? decide.promise : undefined;
    };
    const deleted = outcomeOf(deleter.s3.directory.delete('bucket'));
    await turns();
    expect(directoryChanges).toBe(2);
    wakeUp.open();
    await slept;
    // Each attempt but the first, whose precondition fails, would open a header under the delete.
    expect(attempts).toBe(row.attempts);
    decide.open();
    await deleted;
  });
});

function newGate(): { readonly promise: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return {
    promise,
    open: () => {
      resolve(undefined);
    },
  };
}

/** Lets everything run that waits for nothing but promises. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3000; turn += 1) await Promise.resolve();
}
