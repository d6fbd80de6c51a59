/**
 * Admission: what is checked of a batch before it is accepted, so that what is accepted finds room.
 */
import { binaryStringOf, compareBytes } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Batch, Operation } from './engine-types.ts';
import { EngineError } from './errors.ts';
import type { EngineLimits, Geometry } from './geometry.ts';
import { BATCH_OPERATIONS_MAX, QUEUED_BATCHES_MAX, QUEUED_BYTES_MAX } from './limits.ts';
import { isPromise } from './maybe-promise.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { CheckedBatch, PreparedBatch, PreparedOperation } from './prepared-batch.ts';
import { RECORD_DELETE, RECORD_DELETE_RANGE, RECORD_PUT } from './record.ts';
import { recordBytesOf, valueChecksums } from './record.ts';
import { chargeOf, isInline, packingLossOf, usableBytesOf } from './space.ts';
import { SpaceCredits } from './space-credits.ts';
import type { SpaceClass } from './space.ts';
import type { TreeEntry } from './tree/tree-entry.ts';

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
  /** What a key has now; within a reader of the segments. */
  readonly lookUp: (name: string) => MaybePromise<TreeEntry | undefined>;
  /** Resolves when it is known of all entries what they hide. */
  readonly settle: () => Promise<void>;
  /** Resolves when the tree takes no more room than its live entries, about, or when that cannot be had. */
  readonly makeSpace: () => Promise<void>;
  /** The seed of the claim's checksums. */
  readonly seed: number;
}

const EMPTY = new Uint8Array(0);
const NO_CHECKSUMS: readonly number[] = [];

/** See the file comment. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #credits = new SpaceCredits((operation) => this.#chargeOf(operation));

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** What another put may be charged with and is certainly taken. */
  availableBytes(load: QueueLoad): number {
    const { catalog, geometry } = this.#options;
    return Math.max(0, this.#roomBytes(load) - packingLossOf(geometry, catalog.segments));
  }

  /** The same as if full segments left nothing empty at their ends; may be negative. */
  #roomBytes(load: QueueLoad): number {
    const { catalog, geometry } = this.#options;
    const { quarantinedLiveBytes, quarantinedCount } = catalog.segments;
    const usedBytes = catalog.usedBytes - quarantinedLiveBytes + load.chargeBytes;
    return usableBytesOf(geometry, quarantinedCount) - usedBytes;
  }

  /**
   * Checks a batch and computes its checksums. Throws `KEY_EMPTY`, `KEY_TOO_LONG`, `RANGE_EMPTY`,
   * `VALUE_TOO_LARGE`, `BATCH_TOO_LARGE` and `QUEUE_FULL`.
   */
  check(batch: Batch, load: QueueLoad): CheckedBatch {
    const { limits } = this.#options;
    if (batch.length > BATCH_OPERATIONS_MAX) {
      throw tooLong('BATCH_TOO_LARGE', 'operations of a batch', batch.length, BATCH_OPERATIONS_MAX);
    }
    let bytes = 0;
    let chargeBytes = 0;
    for (const operation of batch) {
      const { keyBytes, valueBytes } = this.#checkSizes(operation);
      bytes += recordBytesOf(keyBytes, valueBytes);
      if (operation.kind === 'put') chargeBytes += chargeOf(keyBytes, valueBytes);
    }
    if (bytes > limits.batchBytesMax) {
      throw tooLong('BATCH_TOO_LARGE', 'bytes of a batch', bytes, limits.batchBytesMax);
    }
    const isQueueFull =
      load.batchCount >= QUEUED_BATCHES_MAX || load.bytes + bytes > QUEUED_BYTES_MAX;
    if (isQueueFull && load.batchCount > 0) {
      throw tooLong('QUEUE_FULL', 'bytes in the queue', load.bytes + bytes, QUEUED_BYTES_MAX);
    }
    return { operations: batch.map((operation) => this.#prepare(operation)), bytes, chargeBytes };
  }

  /** How urgent space is to a batch; `undefined` when that takes a look at what it replaces. */
  spaceClassOf({ chargeBytes }: CheckedBatch, load: QueueLoad): SpaceClass | undefined {
    if (chargeBytes === 0) return 'shrink';
    // What is lost at the ends of segments is at most what lives in them; to know it takes a look at each.
    const { liveLogBytes } = this.#options.catalog;
    if (chargeBytes <= this.#roomBytes(load) - liveLogBytes) return 'grow';
    return chargeBytes <= this.availableBytes(load) ? 'grow' : undefined;
  }

  /**
   * The same with a look at what the batch replaces and deletes: it is charged only with what it takes
   * beside that. Rejects with `DEVICE_FULL`, and with what reads of the tree reject with. One at a time, and
   * {@link enqueued} before the next.
   */
  async lookForSpace(checked: CheckedBatch, load: () => QueueLoad): Promise<PreparedBatch> {
    let chargeBytes = 0;
    const fits = async (): Promise<boolean> => {
      chargeBytes = Math.max(0, checked.chargeBytes - (await this.#freedBytes(checked)));
      return chargeBytes === 0 || chargeBytes <= this.availableBytes(load());
    };
    const { settle, makeSpace } = this.#options;
    // What was overwritten or deleted not long ago may still be taken for live, and what tables hide of each
    // other takes room until they are merged.
    for (const remedy of [settle, makeSpace, undefined]) {
      if (await fits()) {
        const spaceClass = chargeBytes === 0 ? 'shrink' : 'grow';
        return { ...checked, chargeBytes, spaceClass, isCredited: true };
      }
      if (remedy !== undefined) await remedy();
    }
    // In the turn of the last look, so that the error tells the figures that were compared.
    throw this.full(chargeBytes, load());
  }

  /** A batch begins to wait for its commit. */
  enqueued({ operations, isCredited }: PreparedBatch): void {
    if (isCredited) this.#credits.add(operations);
    else this.#credits.addInFull(operations);
  }

  /** It does not wait any longer: it is in the tree, or was refused. */
  dequeued({ operations, isCredited }: PreparedBatch): void {
    if (isCredited) this.#credits.remove(operations);
  }

  /** What the keys of a batch are charged with now, or will be behind the batches that wait. */
  async #freedBytes(checked: CheckedBatch): Promise<number> {
    const names = new Set<string>();
    for (const { type, name } of checked.operations) {
      if (type !== RECORD_DELETE_RANGE) names.add(name);
    }
    const { catalog, lookUp } = this.#options;
    let freedBytes = 0;
    const reader = catalog.segments.enter(true);
    try {
      for (const name of names) {
        const known = this.#credits.chargeOf(name);
        if (known !== undefined) {
          freedBytes += known;
          continue;
        }
        const found = lookUp(name);
        const entry = isPromise(found) ? await found : found;
        if (entry !== undefined) freedBytes += chargeOf(name.length, entry.valueBytes);
      }
    } finally {
      catalog.segments.leave(reader, true);
    }
    return freedBytes;
  }

  #chargeOf({ key, value }: PreparedOperation): number {
    return chargeOf(key.length, value.length);
  }

  /** Bytes of key and value of an operation's record. */
  #checkSizes(operation: Operation): { readonly keyBytes: number; readonly valueBytes: number } {
    const { limits } = this.#options;
    if (operation.kind === 'delete-range') {
      this.#checkKey(operation.from);
      this.#checkKey(operation.to);
      if (compareBytes(operation.from, operation.to) >= 0) {
        throw new EngineError(
          'Applying a batch: a range delete ends where it begins, or before. Its end must be above.',
          { code: 'RANGE_EMPTY' },
        );
      }
      return { keyBytes: operation.from.length, valueBytes: operation.to.length };
    }
    this.#checkKey(operation.key);
    const valueBytes = operation.kind === 'put' ? operation.value.length : 0;
    if (valueBytes > limits.valueBytesMax) {
      throw tooLong('VALUE_TOO_LARGE', 'bytes of a value', valueBytes, limits.valueBytesMax);
    }
    return { keyBytes: operation.key.length, valueBytes };
  }

  #checkKey(key: Uint8Array): void {
    const { keyBytesMax } = this.#options.limits;
    if (key.length === 0) {
      throw new EngineError('Applying a batch: a key is empty; keys have at least one byte.', {
        code: 'KEY_EMPTY',
      });
    }
    if (key.length > keyBytesMax) {
      throw tooLong('KEY_TOO_LONG', 'bytes of a key', key.length, keyBytesMax);
    }
  }

  #prepare(operation: Operation): PreparedOperation {
    const { seed } = this.#options;
    switch (operation.kind) {
      case 'put': {
        const { key, value } = operation;
        return {
          type: RECORD_PUT,
          key,
          name: binaryStringOf(key),
          value,
          checksums: valueChecksums(value, seed),
          // Not `slice`: that of a Buffer is a view of bytes that the caller may use again.
          inline: isInline(value.length) ? binaryStringOf(value) : undefined,
        };
      }
      case 'delete': {
        const { key } = operation;
        const name = binaryStringOf(key);
        const checksums = NO_CHECKSUMS;
        return { type: RECORD_DELETE, key, name, value: EMPTY, checksums, inline: undefined };
      }
      case 'delete-range': {
        const { from: key, to: value } = operation;
        return {
          type: RECORD_DELETE_RANGE,
          key,
          name: binaryStringOf(key),
          value,
          checksums: valueChecksums(value, seed),
          inline: binaryStringOf(value),
        };
      }
    }
  }

  /** The error that says how full the device is. */
  full(neededBytes: number, load: QueueLoad): EngineError {
    const { path, catalog } = this.#options;
    const availableBytes = this.availableBytes(load);
    const { retiredCount } = catalog.segments;
    const isHeld = neededBytes <= availableBytes && retiredCount > 0;
    return new EngineError(
      isHeld
        ? `Writing to ${path}: the device is full. ${retiredCount} segments hold nothing any more but ` +
            'what open snapshots and scans may read. Close these, then try again.'
        : `Writing to ${path}: the device is full. ${neededBytes} bytes are needed, ` +
            `${availableBytes} are available. Delete something, or add space.`,
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
