/** The errors of the engine. */
import { DozoError } from '@dozo/base';
import type { ClaimError, Slot } from '@dozo/claim';

/** Why a device cannot be opened or formatted. */
export type DeviceRefusal =
  /** No Dozo superblock: something else lives there, or nothing does. */
  | { readonly code: 'DEVICE_NOT_DOZO'; readonly path: string; readonly found: string }
  /** A Dozo device of a format that this version does not know. */
  | { readonly code: 'DEVICE_VERSION_UNKNOWN'; readonly path: string; readonly version: number }
  /** Smaller than its superblock says. */
  | {
      readonly code: 'DEVICE_CUT_SHORT';
      readonly path: string;
      readonly sizeBytes: number;
      readonly neededBytes: number;
    }
  /** The first superblock is damaged; `copyIntact` says whether the second one can replace it. */
  | {
      readonly code: 'SUPERBLOCK_DAMAGED';
      readonly path: string;
      readonly reason: string;
      readonly copyIntact: boolean;
    }
  /** Too small to be formatted. */
  | {
      readonly code: 'DEVICE_TOO_SMALL';
      readonly path: string;
      readonly sizeBytes: number;
      readonly neededBytes: number;
    }
  /** A beat interval or lease that no claim can keep. */
  | { readonly code: 'INTERVALS_REFUSED'; readonly reason: string }
  /** Growing is refused while one who may have been growing the device is not proved dead. */
  | { readonly code: 'HOLDERS_IN_DOUBT'; readonly path: string; readonly claimCount: number }
  /** Formatting would destroy what is there. */
  | { readonly code: 'DEVICE_NOT_EMPTY'; readonly path: string; readonly found: string }
  /** A structure that had been durable is damaged: opening would lose acknowledged writes. */
  | {
      readonly code: 'DEVICE_CORRUPT';
      readonly path: string;
      /** Byte offset on the device. */
      readonly offset: number;
      readonly reason: string;
    }
  /** The last holder saw a write fail, and the verify that this demands found damage. */
  | {
      readonly code: 'DEVICE_NEEDS_REPAIR';
      readonly path: string;
      readonly damageCount: number;
      readonly firstReason: string;
    };

/** Why an engine refuses a request, or cannot serve it. */
export type EngineRefusal =
  | {
      readonly code: 'DEVICE_FULL';
      readonly path: string;
      readonly neededBytes: number;
      readonly availableBytes: number;
    }
  | {
      readonly code: 'KEY_TOO_LONG' | 'VALUE_TOO_LARGE' | 'BATCH_TOO_LARGE' | 'QUEUE_FULL';
      readonly sizeBytes: number;
      readonly limitBytes: number;
    }
  | { readonly code: 'KEY_EMPTY' | 'RANGE_EMPTY' }
  /** Damaged tables keep level 0 of the index from being compacted: puts are refused until a repair. */
  | {
      readonly code: 'TABLES_DAMAGED';
      readonly path: string;
      readonly damagedTableCount: number;
    }
  | { readonly code: 'ENGINE_CLOSED' | 'SNAPSHOT_CLOSED' }
  /** A write or flush failed; whether what was in flight is durable is not known. */
  | { readonly code: 'ENGINE_FAILED'; readonly path: string; readonly reason: string }
  /**
   * Another process has taken the device over, or this one cannot show any more that it lives. The
   * claim's error is the cause.
   */
  | {
      readonly code: 'ENGINE_FENCED' | 'ENGINE_CLAIM_LOST';
      readonly path: string;
      /** Who has the device now, where that is known. */
      readonly holder: Slot | undefined;
      /** False when the batch was written: the new holder may have taken it, or not. */
      readonly isOutcomeKnown: boolean;
    }
  /** What the device returned is not what was written. */
  | {
      readonly code: 'VALUE_DAMAGED';
      readonly path: string;
      readonly key: Uint8Array;
      readonly segment: number;
      readonly offset: number;
      readonly reason: string;
    }
  /**
   * A block of a table is not what was written, or the device cannot read it: what it says about its keys
   * is not known.
   */
  | {
      readonly code: 'INDEX_DAMAGED';
      readonly path: string;
      readonly segment: number;
      /** Byte offset on the device. */
      readonly offset: number;
      readonly sizeBytes: number;
      readonly reason: string;
    };

export type EngineErrorDetail = DeviceRefusal | EngineRefusal;

/** The error of everything in this package; device errors of reads pass through as they are. */
export class EngineError extends DozoError<EngineErrorDetail> {}

/** A structure that was durable is damaged. */
export function corrupt(path: string, offset: number, reason: string): EngineError {
  return new EngineError(
    `Opening ${path}: ${reason} (at byte ${offset}). It had been written and flushed, so opening ` +
      'the device would lose acknowledged data. Nothing was changed. `dozo device check` says what a ' +
      'repair would cost; else recover this device from its replicas or a backup.',
    { code: 'DEVICE_CORRUPT', path, offset, reason },
  );
}

/** The claim is over: what waits was not written; of what was on its way nobody knows. */
export function claimIsOver(path: string, error: ClaimError, isOutcomeKnown: boolean): EngineError {
  const { detail } = error;
  const outcome = isOutcomeKnown
    ? 'Nothing of this was written.'
    : 'Whether the last batches count is for the new holder to say.';
  const isFenced = detail.code === 'CLAIM_FENCED';
  return new EngineError(
    `Using the engine on ${path}: it has ended. ${outcome} ${error.message}`,
    {
      code: isFenced ? 'ENGINE_FENCED' : 'ENGINE_CLAIM_LOST',
      path,
      holder: isFenced ? detail.by : undefined,
      isOutcomeKnown,
    },
    { cause: error },
  );
}

/** A write or flush failed: whether what was in flight is durable is not known. */
export function engineFailed(path: string, error: unknown): EngineError {
  const reason = error instanceof Error ? error.message : String(error);
  return new EngineError(
    `Writing to ${path} failed: ${reason} Whether the last batches are durable is not known. The ` +
      'engine has stopped; nothing is retried. Look at the device, then start again: the start ' +
      'verifies everything.',
    { code: 'ENGINE_FAILED', path, reason },
    { cause: error },
  );
}

/** What makes level 0 of the index shorter would read damaged tables. */
export function tablesDamaged(path: string, damagedTableCount: number): EngineError {
  return new EngineError(
    `Writing to ${path}: ${damagedTableCount} tables of its index are damaged, and what was written since ` +
      'cannot be merged with them any more. Reads and deletes go on; nothing new is taken. Stop the ' +
      'daemon, then run `dozo device check --repair`, which says what is lost.',
    { code: 'TABLES_DAMAGED', path, damagedTableCount },
  );
}

/** A block of a table is damaged or unreadable, on the disk and not only in a cache. */
export function indexDamaged(
  path: string,
  place: { readonly segment: number; readonly offset: number; readonly sizeBytes: number },
  reason: string,
  cause?: unknown,
): EngineError {
  const { segment, offset, sizeBytes } = place;
  return new EngineError(
    `Reading ${sizeBytes} bytes of the index from ${path} at byte ${offset}: ${reason}. What it says ` +
      'of its keys is not known, so nothing is returned for them. `dozo device check` lists all ' +
      'damage and says what a repair would cost.',
    { code: 'INDEX_DAMAGED', path, segment, offset, sizeBytes, reason },
    cause === undefined ? {} : { cause },
  );
}
