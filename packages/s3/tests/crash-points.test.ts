/**
 * A process dies, or loses an answer, at every single transaction of every scenario. Afterwards the
 * collector alone, without a sweep, must bring everything to rest, and each object must be one that a
 * reader could have seen.
 */
import { describe, expect, it } from 'vitest';
import type { Fault } from './faulty-store.ts';
import { checkStore } from './store-checker.ts';
import { bodyOf, completeUpload, outcomeOf, putObject, putPart, World } from './store-world.ts';
import type { Process } from './store-world.ts';

const SMALL = 'small';
const LONG_ONE = 'one '.repeat(100);
const LONG_TWO = 'two '.repeat(90);

interface Scenario {
  readonly name: string;
  /** Before the fault. */
  readonly prepare: (process: Process) => Promise<void>;
  /** With the fault. */
  readonly run: (process: Process) => Promise<void>;
  /** What `bucket/key` may hold afterwards. */
  readonly allowed: readonly (string | undefined)[];
}

const NAME = { bucket: 'bucket', key: 'key' };

const createBucket = async (process: Process): Promise<void> => {
  await process.s3.directory.create('bucket', 'owner');
};

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'creating a bucket and putting a small object',
    prepare: async () => undefined,
    run: async (process) => {
      await process.s3.directory.create('bucket', 'owner');
      await putObject(process, NAME, SMALL);
    },
    allowed: [undefined, SMALL],
  },
  {
    name: 'putting a long object over nothing',
    prepare: createBucket,
    run: (process) => putObject(process, NAME, LONG_ONE),
    allowed: [undefined, LONG_ONE],
  },
  {
    name: 'putting a long object over a long one',
    prepare: async (process) => {
      await process.s3.directory.create('bucket', 'owner');
      await putObject(process, NAME, LONG_ONE);
    },
    run: (process) => putObject(process, NAME, LONG_TWO),
    allowed: [LONG_ONE, LONG_TWO],
  },
  {
    name: 'putting a small object over a long one, then deleting it',
    prepare: async (process) => {
      await process.s3.directory.create('bucket', 'owner');
      await putObject(process, NAME, LONG_ONE);
    },
    run: async (process) => {
      await putObject(process, NAME, SMALL);
      await process.s3.objects.delete(NAME, undefined);
    },
    allowed: [LONG_ONE, SMALL, undefined],
  },
  {
    name: 'a multipart upload with a part sent twice and one left out',
    prepare: async (process) => {
      await process.s3.directory.create('bucket', 'owner');
      await putObject(process, NAME, LONG_ONE);
    },
    run: async (process) => {
      const uploadId = await process.s3.uploads.create(NAME, { userMetadata: [] }, undefined);
      const name = { ...NAME, uploadId };
      await putPart(process, name, 1, LONG_ONE);
      const first = await putPart(process, name, 1, LONG_TWO);
      await putPart(process, name, 2, 'unused');
      const third = await putPart(process, name, 3, 'end');
      await completeUpload(process, name, [
        { partNumber: 1, etag: first },
        { partNumber: 3, etag: third },
      ]);
    },
    allowed: [LONG_ONE, `${LONG_TWO}end`],
  },
  {
    name: 'a multipart upload that is aborted',
    prepare: createBucket,
    run: async (process) => {
      const uploadId = await process.s3.uploads.create(NAME, { userMetadata: [] }, undefined);
      const name = { ...NAME, uploadId };
      await putPart(process, name, 1, LONG_ONE);
      await process.s3.uploads.abort(name);
    },
    allowed: [undefined],
  },
  {
    name: 'deleting a bucket that holds an object, then the object, then the bucket',
    prepare: async (process) => {
      await process.s3.directory.create('bucket', 'owner');
      await putObject(process, NAME, LONG_ONE);
    },
    run: async (process) => {
      expect(await outcomeOf(process.s3.directory.delete('bucket'))).toBe('BucketNotEmpty');
      await process.s3.objects.delete(NAME, undefined);
      await process.s3.directory.delete('bucket');
    },
    allowed: [LONG_ONE, undefined],
  },
];

const KINDS: readonly Fault['kind'][] = [
  'crash-before',
  'crash-after',
  'unknown-not-applied',
  'unknown-applied',
];

describe.each(SCENARIOS)('$name', (scenario) => {
  it.each(KINDS)('leaves nothing half done after %s at any transaction', async (kind) => {
    let points = 0;
    for (let atTransaction = 0; ; atTransaction += 1) {
      const world = new World(`${scenario.name} ${String(atTransaction)}`);
      await scenario.prepare(world.start());
      const process = world.start({ fault: { atTransaction, kind } });
      await outcomeOf(scenario.run(process));
      if (process.wire.transactionCount <= atTransaction) break;
      points += 1;
      const at = `${kind} at ${String(atTransaction)}`;
      const body = await bodyOf(world.start(), NAME);
      expect(scenario.allowed, at).toContain(body);
      await world.settle();
      expect(await bodyOf(world.start(), NAME), at).toBe(body);
      const uploads = await openUploads(world.start());
      // A client that lost its upload aborts it; nobody else may.
      for (const uploadId of uploads) {
        await world.start().s3.uploads.abort({ ...NAME, uploadId });
      }
      await world.settle();
      expect(await checkStore(world.store), at).toEqual([]);
    }
    expect(points).toBeGreaterThan(0);
  });
});

async function openUploads(process: Process): Promise<string[]> {
  const query = { bucket: 'bucket', prefix: '', delimiter: '', marker: '', rowsMax: 100 };
  try {
    return (await process.s3.listing.uploads(query, '')).rows.map((row) => row.uploadId);
  } catch {
    return [];
  }
}
