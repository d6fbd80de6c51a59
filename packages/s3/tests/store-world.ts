/**
 * A store without HTTP in simulated time, processes that use it and may die, and the wait until the
 * collector has brought everything to rest.
 */
import { createHash } from 'node:crypto';
import { SeededRandom } from '@dozo/base';
import { PlacementGroup } from '@dozo/osd';
import type { TransactionStore } from '@dozo/replica';
import { ModelEngine, SimulatedClock } from '@dozo/simulator';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import type { S3Limits } from '../src/limits.ts';
import { slicesOf } from '../src/store/blob-store.ts';
import type { Guard, ObjectName } from '../src/store/object-index.ts';
import { S3Store } from '../src/store/s3-store.ts';
import { ALL_MECHANISMS } from '../src/store/store-context.ts';
import type { SafetyMechanisms } from '../src/store/store-context.ts';
import type { UploadName } from '../src/store/multipart-uploads.ts';
import { FaultyStore } from './faulty-store.ts';
import type { Fault } from './faulty-store.ts';
import { POOLS, SMALL_LIMITS } from './gateway-harness.ts';

export const HEADERS = { contentType: 'text/plain', userMetadata: [] } as const;

export interface ProcessOptions {
  readonly fault?: Fault;
  readonly mechanisms?: Partial<SafetyMechanisms>;
  /** Let calls take simulated time. */
  readonly slow?: boolean;
}

/** A gateway's store, and the wire between it and the placement group. */
export interface Process {
  readonly s3: S3Store;
  readonly wire: FaultyStore;
}

export class World {
  readonly clock: SimulatedClock;
  readonly store: TransactionStore;
  readonly limits: S3Limits = { ...DEFAULT_LIMITS, ...SMALL_LIMITS };
  readonly #random: SeededRandom;
  #processCount = 0;

  constructor(seed: number | string, store?: TransactionStore, clock?: SimulatedClock) {
    this.clock = clock ?? new SimulatedClock({ seed });
    this.#random = new SeededRandom(seed);
    this.store = store ?? new PlacementGroup({ engine: new ModelEngine() });
  }

  /** Starts a process. */
  start(options: ProcessOptions = {}): Process {
    this.#processCount += 1;
    const { fault, mechanisms, slow = false } = options;
    const random = this.#random.derive(`pace ${String(this.#processCount)}`);
    // Some processes are slow, and every one of them sleeps now and then.
    const usual = random.pick([1, 2, 6]);
    const hops = (): number => (random.chance(0.05) ? random.below(60) : usual);
    const pace = slow ? { clock: this.clock, hops } : undefined;
    const wire = new FaultyStore(this.store, pace, fault);
    const s3 = new S3Store({
      store: wire,
      clock: this.clock,
      random: this.#random.derive(`process ${String(this.#processCount)}`),
      pools: POOLS,
      limits: this.limits,
      mechanisms: { ...ALL_MECHANISMS, ...mechanisms },
    });
    return { s3, wire };
  }

  /** Lets the collector of a new process work until nothing is left for it. No sweep. */
  async settle(options: ProcessOptions = {}): Promise<void> {
    const { s3 } = this.start(options);
    const { intentStaleMs, intentSettleMs, garbageDelayMs } = this.limits;
    // First what is stale is marked, then what was marked goes, then what was queued meanwhile.
    for (const waitMs of [intentStaleMs, intentSettleMs, garbageDelayMs, 0]) {
      await this.clock.advance(waitMs);
      await walk(s3);
    }
  }
}

/** One whole walk of the collector. */
export async function walk(s3: S3Store): Promise<void> {
  while (!(await s3.collector.step()).isLast);
}

/** Puts an object as the gateway does: short ones into their entry, long ones into chunks. */
export async function putObject(
  process: Process,
  name: ObjectName,
  body: string,
  guard?: Guard,
): Promise<void> {
  const { s3 } = process;
  const bytes = Buffer.from(body);
  const object = {
    lastModifiedMs: 1,
    sizeBytes: bytes.length,
    etag: md5Of(bytes),
    checksum: undefined,
    headers: HEADERS,
  };
  if (bytes.length <= s3.limits.inlineBytesMax) {
    await s3.objects.putInline(name, object, [bytes], guard);
    return;
  }
  const writer = await s3.openBlob(name, bytes.length);
  try {
    for (let at = 0; at < bytes.length; at += 70) await writer.write(bytes.subarray(at, at + 70));
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  try {
    await s3.objects.putChunked(name, object, writer, guard);
  } catch (error) {
    if (!isUnknown(error)) await writer.abandon();
    throw error;
  }
}

/** Puts a part. */
export async function putPart(
  process: Process,
  name: UploadName,
  partNumber: number,
  body: string,
): Promise<string> {
  const bytes = Buffer.from(body);
  const etag = md5Of(bytes);
  const writer = await process.s3.openBlob(name, bytes.length);
  try {
    await writer.write(bytes);
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  try {
    const part = { lastModifiedMs: 1, etag, checksum: undefined };
    await process.s3.uploads.putPart(name, partNumber, part, writer);
  } catch (error) {
    if (!isUnknown(error)) await writer.abandon();
    throw error;
  }
  return etag;
}

/** Makes the object of parts. */
export async function completeUpload(
  process: Process,
  name: UploadName,
  parts: readonly { readonly partNumber: number; readonly etag: string }[],
): Promise<void> {
  await process.s3.uploads.complete(name, {
    parts: parts.map((part) => ({ ...part, checksum: undefined })),
    guard: undefined,
    describe: (upload, plan) => ({
      lastModifiedMs: 1,
      sizeBytes: plan.sizeBytes,
      etag: plan.etag,
      checksum: undefined,
      headers: upload.headers,
    }),
  });
}

/** An object's body; undefined if there is none, `lost` if a chunk of it is gone. */
export async function bodyOf(process: Process, name: ObjectName): Promise<string | undefined> {
  let found, parts;
  do {
    try {
      found = await process.s3.objects.find(name);
    } catch (error) {
      if (['NoSuchKey', 'NoSuchBucket'].includes(codeOf(error))) return undefined;
      throw error;
    }
    parts = await process.s3.objects.partsOf(found);
  } while (parts === undefined);
  const { data, sizeBytes } = found.entry;
  if (data !== undefined) return data.toString();
  const blobs = parts.map((part) => part.blob);
  for (const blob of blobs) process.s3.blobs.pin(blob);
  try {
    const pieces: Uint8Array[] = [];
    for (const slice of slicesOf(blobs, { start: 0, end: sizeBytes })) {
      const piece = await process.s3.blobs.read(found.shard, slice);
      if (piece === undefined) return 'lost';
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString();
  } finally {
    for (const blob of blobs) process.s3.blobs.unpin(blob);
  }
}

/** Code of an error of ours; its name for any other. */
function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.name : 'unknown';
}

/** What became of a call: `ok`, or the code that it was refused with. */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

export function md5Of(bytes: Uint8Array | string): string {
  return createHash('md5').update(bytes).digest('hex');
}

function isUnknown(error: unknown): boolean {
  return ['STORE_FAILED', 'Crashed'].includes(codeOf(error));
}
