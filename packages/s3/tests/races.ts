/**
 * Races: what happens when requests and collectors meet, played with many seeds. Each race can be
 * played with a safety mechanism switched off, to show that something notices.
 */
import { SeededRandom } from '@dozo/base';
import type { SafetyMechanisms } from '../src/store/store-context.ts';
import { hop } from './faulty-store.ts';
import { checkStore } from './store-checker.ts';
import {
  bodyOf,
  completeUpload,
  HEADERS,
  md5Of,
  outcomeOf,
  putObject,
  putPart,
  walk,
  World,
} from './store-world.ts';
import type { Process } from './store-world.ts';

/** What is off. */
export type Off = Partial<SafetyMechanisms>;

/** Plays a race once; resolves with what is wrong, in words. */
export type Race = (seed: number, off: Off) => Promise<string[]>;

const NAME = { bucket: 'bucket', key: 'key' };
const LONG = ['one '.repeat(60), 'two '.repeat(70), 'three '.repeat(50)] as const;

class Match {
  readonly world: World;
  readonly #off: Off;
  readonly #random: SeededRandom;
  readonly problems: string[] = [];

  constructor(seed: number, off: Off) {
    this.world = new World(seed);
    this.#random = new SeededRandom(seed).derive('match');
    this.#off = off;
  }

  /** A process whose calls take time. */
  slow(): Process {
    return this.world.start({ slow: true, mechanisms: this.#off });
  }

  quick(): Process {
    return this.world.start({ mechanisms: this.#off });
  }

  /** Begins later, or not so much later, as the seed will have it. */
  async later<Result>(work: () => Promise<Result>): Promise<Result> {
    await hop(this.world.clock, this.#random.below(this.#random.pick([10, 60, 300])));
    return work();
  }

  /** Plays actors against each other; resolves with what became of each. */
  play(...actors: readonly Promise<unknown>[]): Promise<string[]> {
    return this.world.clock.runUntil(Promise.all(actors.map(outcomeOf)));
  }

  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.problems.push(otherwise);
  }

  /** Settles with everything on and checks. */
  async finish(): Promise<string[]> {
    await this.world.settle();
    return [...this.problems, ...(await checkStore(this.world.store))];
  }
}

/** A PUT and a DELETE of its bucket, and another gateway that makes the bucket again. */
export const putAgainstDeleteBucket: Race = async (seed, off) => {
  const match = new Match(seed, off);
  await match.quick().s3.directory.create('bucket', 'owner');
  const putter = match.slow();
  // It remembers the bucket.
  await match.world.clock.runUntil(outcomeOf(putter.s3.objects.find(NAME)));
  const body = seed % 2 === 0 ? 'small' : LONG[0];
  const [put, removed] = await match.play(
    match.later(() => putObject(putter, NAME, body)),
    match.slow().s3.directory.delete('bucket'),
  );
  match.expect(put === 'ok' || put === 'NoSuchBucket', `the put was refused with ${String(put)}`);
  match.expect(put !== 'ok' || removed !== 'ok', 'a bucket was deleted under a put');
  const expected = put === 'ok' ? body : undefined;
  match.expect((await bodyOf(match.quick(), NAME)) === expected, 'the object is not as answered');
  if (removed === 'ok') {
    await match.quick().s3.directory.create('bucket', 'owner');
    // Through the gateway that remembers the old bucket.
    const again = await match.play(putObject(putter, NAME, LONG[1]));
    match.expect(again[0] === 'ok', 'the new bucket takes no objects');
    match.expect((await bodyOf(match.quick(), NAME)) === LONG[1], 'the new bucket has another');
  }
  return match.finish();
};

/** Three writers of one key that holds a long object, and one who deletes it. */
export const putAgainstPut: Race = async (seed, off) => {
  const match = new Match(seed, off);
  await match.quick().s3.directory.create('bucket', 'owner');
  await putObject(match.quick(), NAME, LONG[2]);
  const deletes = seed % 3 === 0;
  const outcomes = await match.play(
    putObject(match.slow(), NAME, LONG[0]),
    putObject(match.slow(), NAME, LONG[1]),
    putObject(match.slow(), NAME, 'small'),
    ...(deletes ? [match.slow().s3.objects.delete(NAME, undefined)] : []),
  );
  match.expect(
    outcomes.every((outcome) => outcome === 'ok'),
    outcomes.join(),
  );
  const body = await bodyOf(match.quick(), NAME);
  const allowed = [LONG[0], LONG[1], 'small', ...(deletes ? [undefined] : [])];
  match.expect(allowed.includes(body), 'the object is none of those that were put');
  return match.finish();
};

/** Writers that each want to be the first. */
export const conditionalPuts: Race = async (seed, off) => {
  const match = new Match(seed, off);
  await match.quick().s3.directory.create('bucket', 'owner');
  const guard = (existing: unknown): void => {
    if (existing !== undefined) throw Object.assign(new Error('taken'), { code: 'Taken' });
  };
  const bodies = [LONG[0], 'small', LONG[1]];
  const outcomes = await match.play(
    ...bodies.map((body) => putObject(match.slow(), NAME, body, guard)),
  );
  const winners = bodies.filter((_, index) => outcomes[index] === 'ok');
  match.expect(winners.length === 1, `${String(winners.length)} writers were the first`);
  match.expect((await bodyOf(match.quick(), NAME)) === winners[0], 'the first one was overwritten');
  return match.finish();
};

/** A complete, an abort (sometimes), and a part that is sent again meanwhile. */
export const completeAgainstPart: Race = async (seed, off) => {
  const match = new Match(seed, off);
  await match.quick().s3.directory.create('bucket', 'owner');
  const uploadId = await match.quick().s3.uploads.create(NAME, HEADERS, undefined);
  const name = { ...NAME, uploadId };
  const etag = await putPart(match.quick(), name, 1, LONG[0]);
  const aborts = seed % 3 === 0;
  const completes = match.slow();
  const outcomes = await match.play(
    completeUpload(completes, name, [{ partNumber: 1, etag }]),
    putPart(match.slow(), name, 1, LONG[1]),
    putPart(match.slow(), name, 2, LONG[2]),
    ...(aborts ? [match.slow().s3.uploads.abort(name)] : []),
  );
  const [completed, , , aborted] = outcomes;
  match.expect(
    ['ok', 'InvalidPart', 'NoSuchUpload'].includes(String(completed)),
    `the complete was refused with ${String(completed)}`,
  );
  match.expect(completed !== 'ok' || aborted !== 'ok', 'completed and aborted');
  const body = await bodyOf(match.quick(), NAME);
  match.expect(body === (completed === 'ok' ? LONG[0] : undefined), 'not what was completed');
  if (completed !== 'ok' && aborted !== 'ok') await match.quick().s3.uploads.abort(name);
  return match.finish();
};

/** A writer that stood still before its commit, and two collectors that take it for dead. */
export const commitAgainstCollector: Race = async (seed, off) => {
  const match = new Match(seed, off);
  const { world } = match;
  await match.quick().s3.directory.create('bucket', 'owner');
  const writer = match.slow();
  const body = Buffer.from(LONG[0]);
  const blob = await world.clock.runUntil(writer.s3.openBlob(NAME, body.length));
  await world.clock.runUntil(blob.write(body) ?? Promise.resolve());
  await world.clock.runUntil(blob.finish());
  await world.clock.advance(world.limits.intentStaleMs);
  const object = {
    lastModifiedMs: 1,
    sizeBytes: body.length,
    etag: md5Of(body),
    checksum: undefined,
    headers: HEADERS,
  };
  const [committed] = await match.play(
    match.later(() => writer.s3.objects.putChunked(NAME, object, blob, undefined)),
    walk(match.slow().s3),
    match.later(() => walk(match.slow().s3)),
  );
  match.expect(
    committed === 'ok' || committed === 'RequestTimeout',
    `the commit was refused with ${String(committed)}`,
  );
  const found = await bodyOf(match.quick(), NAME);
  match.expect(found === (committed === 'ok' ? LONG[0] : undefined), 'not what was committed');
  return match.finish();
};

/** Readers, while the object is replaced and the collector walks. */
export const getAgainstOverwrite: Race = async (seed, off) => {
  const match = new Match(seed, off);
  await match.quick().s3.directory.create('bucket', 'owner');
  await putObject(match.quick(), NAME, LONG[0]);
  const reader = match.slow();
  const read: (string | undefined)[] = [];
  await match.play(
    match.later(() => bodyOf(reader, NAME)).then((body) => read.push(body)),
    match.later(() => bodyOf(reader, NAME)).then((body) => read.push(body)),
    match.later(() => bodyOf(reader, NAME)).then((body) => read.push(body)),
    putObject(match.slow(), NAME, LONG[1]).then(() => walk(match.quick().s3)),
  );
  for (const body of read) {
    match.expect(body === LONG[0] || body === LONG[1], `a reader got ${String(body)}`);
  }
  return match.finish();
};

/** Two that create, two that delete, and a PUT in between. */
export const createAgainstDelete: Race = async (seed, off) => {
  const match = new Match(seed, off);
  if (seed % 2 === 0) await match.quick().s3.directory.create('bucket', 'owner');
  const [, , , , put] = await match.play(
    match.slow().s3.directory.create('bucket', 'owner'),
    match.slow().s3.directory.create('bucket', 'owner'),
    match.slow().s3.directory.delete('bucket'),
    match.slow().s3.directory.delete('bucket'),
    match.later(() => putObject(match.slow(), NAME, 'small')),
  );
  const body = await bodyOf(match.quick(), NAME);
  match.expect(body === (put === 'ok' ? 'small' : undefined), 'the object is not as answered');
  return match.finish();
};

/** A sweep, while blobs move from intents to parts, entries and garbage. */
export const sweepAgainstWriters: Race = async (seed, off) => {
  const match = new Match(seed, off);
  await match.quick().s3.directory.create('bucket', 'owner');
  await putObject(match.quick(), NAME, LONG[2]);
  const uploader = match.slow();
  const upload = async (): Promise<void> => {
    const uploadId = await uploader.s3.uploads.create(NAME, HEADERS, undefined);
    const name = { ...NAME, uploadId };
    const etag = await putPart(uploader, name, 1, LONG[0]);
    await completeUpload(uploader, name, [{ partNumber: 1, etag }]);
  };
  const sweeper = match.slow();
  const sweeps = sweeper.s3.sweep.run().then(async (report) => {
    match.expect(report.missingChunks === 0, 'the sweep missed chunks that are there');
    await sweeper.s3.sweep.run();
  });
  const outcomes = await match.play(
    upload(),
    putObject(match.slow(), { ...NAME, key: 'other' }, LONG[1]),
    sweeps,
  );
  match.expect(
    outcomes.every((outcome) => outcome === 'ok'),
    outcomes.join(),
  );
  match.expect((await bodyOf(match.quick(), NAME)) === LONG[0], 'the upload lost chunks');
  return match.finish();
};
