/**
 * Admission: what is checked of a batch before it is accepted, so that what is accepted finds room.
 */
import { binaryStringOf } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Batch } from './engine-types.ts';
import { EngineError } from './errors.ts';
import type { EngineLimits, Geometry } from './geometry.ts';
import { BATCH_OPERATIONS_MAX, QUEUED_BATCHES_MAX, QUEUED_BYTES_MAX } from './limits.ts';
import { recordBytesOf, valueChecksums } from './record.ts';
import { chargeOf, chargedBytes, usableBytesOf } from './space.ts';
import type { SpaceClass } from './space.ts';

/** An operation with all that writing it needs. */
export interface PreparedOperation {
  readonly key: Uint8Array;
  readonly name: string;
  /** Absent for a delete. */
  readonly value: Uint8Array | undefined;
  readonly checksums: readonly number[];
}

/** A batch that may be written. */
export interface PreparedBatch {
  readonly operations: readonly PreparedOperation[];
  /** What its records take. */
  readonly bytes: number;
  /** What its puts are charged with against the usable space. */
  readonly chargeBytes: number;
  readonly spaceClass: SpaceClass;
}

/** What waits for a commit. */
export interface QueueLoad {
  readonly batchCount: number;
  readonly bytes: number;
  readonly chargeBytes: number;
}

export interface AdmissionOptions {
  readonly path: string;
  readonly geometry: Geometry;
  readonly limits: EngineLimits;
  readonly catalog: Catalog;
  /** The seed of the claim's checksums. */
  readonly seed: number;
}

const NO_CHECKSUMS: readonly number[] = [];

/** See the file comment. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** What another put may be charged with. */
  availableBytes(load: QueueLoad): number {
    const { catalog, geometry } = this.#options;
    const { totalLiveBytes, quarantinedLiveBytes, quarantinedCount } = catalog.segments;
    const used = chargedBytes(totalLiveBytes - quarantinedLiveBytes, catalog.indexBytes);
    return Math.max(0, usableBytesOf(geometry, quarantinedCount) - used - load.chargeBytes);
  }

  /**
   * Checks a batch, computes its checksums, and tells what it takes. Throws `KEY_EMPTY`, `KEY_TOO_LONG`,
   * `VALUE_TOO_LARGE`, `BATCH_TOO_LARGE`, `QUEUE_FULL` and `DEVICE_FULL`.
   */
  prepare(batch: Batch, load: QueueLoad): PreparedBatch {
    const { limits, seed } = this.#options;
    if (batch.length > BATCH_OPERATIONS_MAX) {
      throw tooLong('BATCH_TOO_LARGE', 'operations of a batch', batch.length, BATCH_OPERATIONS_MAX);
    }
    let bytes = 0;
    let chargeBytes = 0;
    for (const operation of batch) {
      const { key } = operation;
      if (key.length === 0) {
        throw new EngineError('Applying a batch: a key is empty; keys have at least one byte.', {
          code: 'KEY_EMPTY',
        });
      }
      if (key.length > limits.keyBytesMax) {
        throw tooLong('KEY_TOO_LONG', 'bytes of a key', key.length, limits.keyBytesMax);
      }
      const valueBytes = operation.kind === 'put' ? operation.value.length : 0;
      if (valueBytes > limits.valueBytesMax) {
        throw tooLong('VALUE_TOO_LARGE', 'bytes of a value', valueBytes, limits.valueBytesMax);
      }
      bytes += recordBytesOf(key.length, valueBytes);
      if (operation.kind === 'put') chargeBytes += chargeOf(key.length, valueBytes);
    }
    if (bytes > limits.batchBytesMax) {
      throw tooLong('BATCH_TOO_LARGE', 'bytes of a batch', bytes, limits.batchBytesMax);
    }
    const spaceClass = this.#admit(batch, load, { bytes, chargeBytes });
    const operations = batch.map((operation) => ({
      key: operation.key,
      name: binaryStringOf(operation.key),
      value: operation.kind === 'put' ? operation.value : undefined,
      checksums: operation.kind === 'put' ? valueChecksums(operation.value, seed) : NO_CHECKSUMS,
    }));
    return { operations, bytes, chargeBytes, spaceClass };
  }

  /** Refuses what has no room in the queue or on the device, and tells how urgent space is to it. */
  #admit(
    batch: Batch,
    load: QueueLoad,
    { bytes, chargeBytes }: { readonly bytes: number; readonly chargeBytes: number },
  ): SpaceClass {
    const isQueueFull =
      load.batchCount >= QUEUED_BATCHES_MAX || load.bytes + bytes > QUEUED_BYTES_MAX;
    if (isQueueFull && load.batchCount > 0) {
      throw tooLong('QUEUE_FULL', 'bytes in the queue', load.bytes + bytes, QUEUED_BYTES_MAX);
    }
    if (chargeBytes === 0) return 'shrink';
    if (chargeBytes <= this.availableBytes(load)) return 'grow';
    if (this.#isShrinking(batch, chargeBytes)) return 'shrink';
    throw this.full(chargeBytes, load);
  }

  /** Whether what a batch replaces and deletes is at least what it puts. */
  #isShrinking(batch: Batch, chargeBytes: number): boolean {
    const { index } = this.#options.catalog;
    const names = new Set(batch.map((operation) => binaryStringOf(operation.key)));
    let freedBytes = 0;
    for (const name of names) {
      const entry = index.get(name);
      if (entry !== undefined) freedBytes += chargeOf(name.length, entry.valueBytes);
    }
    return freedBytes >= chargeBytes;
  }

  /** The error that says how full the device is. */
  full(neededBytes: number, load: QueueLoad): EngineError {
    const { path } = this.#options;
    const availableBytes = this.availableBytes(load);
    return new EngineError(
      `Writing to ${path}: the device is full. ${neededBytes} bytes are needed, ${availableBytes} ` +
        'are available. Delete something, or add space.',
      { code: 'DEVICE_FULL', path, neededBytes, availableBytes },
    );
  }
}

function tooLong(
  code: 'KEY_TOO_LONG' | 'VALUE_TOO_LARGE' | 'BATCH_TOO_LARGE' | 'QUEUE_FULL',
  what: string,
  sizeBytes: number,
  limitBytes: number,
): EngineError {
  const next = code === 'QUEUE_FULL' ? 'Try again later.' : 'Split it into smaller ones.';
  return new EngineError(
    `Applying a batch: ${sizeBytes} ${what}; at most ${limitBytes} are taken. ${next}`,
    { code, sizeBytes, limitBytes },
  );
}
