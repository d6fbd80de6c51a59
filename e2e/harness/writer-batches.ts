/**
 * What the workers of an engine writer write: the same batches in the same order for the same seed,
 * whatever the others do meanwhile.
 *
 * Each worker has keys of its own, which lie together in the order of keys: so it is known in which
 * order they were written, and whose keys a range covers.
 */
import type { Operation } from '@dozo/engine';
import { SeededDraw } from './seeded-draw.ts';
import { valueOf, type BatchLine, type WriterConfiguration } from './writer-protocol.ts';

const KEYS_OF_BATCH_MAX = 3;
const KEYS_OF_RANGE_MAX = 60;
const DELETE_SHARE = 0.1;
/** Small values make small groups, and many of them; large ones fill a good part of a segment. */
const SMALL_BYTES_MIN = 40;
const SMALL_BYTES_MAX = 2_000;
const LARGE_BYTES_MAX_DEFAULT = 30_000;
/** Keeps the draws of neighbouring workers apart: 2^32 divided by the golden ratio. */
const WORKER_SEED_STEP = 0x9e37_79b9;

/** A batch, and what is told of it. */
export interface WriterBatch {
  readonly told: Omit<BatchLine, 'kind'>;
  readonly operations: readonly Operation[];
}

/** All keys that a writer of that configuration writes, those of each worker together. */
export function keysOfWorkers({
  keyCount,
  workerCount,
}: Pick<WriterConfiguration, 'keyCount' | 'workerCount'>): string[][] {
  const perWorker = Math.ceil(keyCount / workerCount);
  return Array.from({ length: workerCount }, (_, worker) =>
    Array.from({ length: perWorker }, (_, key) => `key/${worker}/${String(key).padStart(6, '0')}`),
  );
}

/** The batches of one worker, one after the other. */
export class WriterBatches {
  readonly #configuration: WriterConfiguration;
  readonly #worker: number;
  readonly #keys: readonly string[];
  readonly #draw: SeededDraw;
  #count = 0;

  constructor(configuration: WriterConfiguration, worker: number, keys: readonly string[]) {
    this.#configuration = configuration;
    this.#worker = worker;
    this.#keys = keys;
    this.#draw = new SeededDraw(configuration.seed + worker * WORKER_SEED_STEP);
  }

  next(): WriterBatch {
    this.#count += 1;
    const tag = `${this.#configuration.name}.${this.#worker}.${this.#count}`;
    const isRange = this.#draw.fraction() < (this.#configuration.rangeDeleteShare ?? 0);
    return isRange ? this.#rangeDelete(tag) : this.#changes(tag);
  }

  #changes(tag: string): WriterBatch {
    const draw = this.#draw;
    const count = draw.integer(1, KEYS_OF_BATCH_MAX + 1);
    const chosen = new Set(
      Array.from({ length: count }, () => this.#keys[draw.integer(0, this.#keys.length)] ?? ''),
    );
    const isSmall = draw.fraction() >= this.#configuration.largeShare;
    const { largeBytesMax = LARGE_BYTES_MAX_DEFAULT } = this.#configuration;
    const puts: string[] = [];
    const deletes: string[] = [];
    const operations: Operation[] = [];
    for (const key of chosen) {
      const keyBytes = Buffer.from(key);
      if (draw.fraction() < DELETE_SHARE) {
        deletes.push(key);
        operations.push({ kind: 'delete', key: keyBytes });
        continue;
      }
      const sizeBytes = draw.integer(SMALL_BYTES_MIN, isSmall ? SMALL_BYTES_MAX : largeBytesMax);
      puts.push(key);
      operations.push({ kind: 'put', key: keyBytes, value: valueOf(key, tag, sizeBytes) });
    }
    return { told: { tag, puts, deletes }, operations };
  }

  /** All keys of a range at once, and a put into its middle in the same batch. */
  #rangeDelete(tag: string): WriterBatch {
    const draw = this.#draw;
    const first = draw.integer(0, this.#keys.length);
    const covered = this.#keys.slice(first, first + draw.integer(1, KEYS_OF_RANGE_MAX));
    const kept = covered[covered.length >> 1] ?? '';
    const operations: Operation[] = covered.map((key) => ({
      kind: 'delete',
      key: Buffer.from(key),
    }));
    const value = valueOf(kept, tag, SMALL_BYTES_MIN);
    operations.push({ kind: 'put', key: Buffer.from(kept), value });
    const deletes = covered.filter((key) => key !== kept);
    return { told: { tag, puts: [kept], deletes }, operations };
  }
}
