/** What an engine writer and its checker say to each other. */
import type { EngineStats, OpenOptions } from '@dozo/engine';

export interface WriterConfiguration {
  readonly path: string;
  /** `exclusive` takes the kernel's lock, `unlocked` does without. */
  readonly mode: 'exclusive' | 'unlocked';
  /** In every value that it writes; no two processes of a round have the same. */
  readonly name: string;
  readonly seed: number;
  readonly keyCount: number;
  readonly workerCount: number;
  /** Part of the batches whose values are large. */
  readonly largeShare: number;
  /** Length in bytes that a large value stays below; default 30,000. */
  readonly largeBytesMax?: number;
  /** Part of the batches that delete all keys of a range; default none. */
  readonly rangeDeleteShare?: number;
  /** How much the engine may keep in memory; default: what it takes by itself. */
  readonly memory?: { readonly cacheBytes?: number; readonly memtableBytes?: number };
  /** It tells the counters of its engine that often, because one that is killed cannot at its end. */
  readonly statsIntervalMs?: number;
  /** The device ignores that its cached pages should be dropped, as any device may: it is a hint. */
  readonly keepsCache?: boolean;
  /** It is killed the moment that a write fails, before it can note that anywhere. */
  readonly diesAtFailure?: boolean;
  readonly switches: NonNullable<OpenOptions['testSwitches']>;
}

/** A batch was handed to the engine, the engine has promised it, or refused it for want of room. */
export interface BatchLine {
  readonly kind: 'submitted' | 'acknowledged' | 'rejected';
  /** `NAME.WORKER.N`: the Nth batch of a worker of the process. */
  readonly tag: string;
  readonly puts: readonly string[];
  /** Also keys that were not there. */
  readonly deletes: readonly string[];
}

export type WriterLine =
  | { readonly kind: 'opened' | 'paused' }
  | { readonly kind: 'refused'; readonly reason: string }
  | BatchLine
  | { readonly kind: 'stats'; readonly stats: EngineStats }
  | {
      readonly kind: 'read';
      /** Key, and the tag of its value. */
      readonly rows: readonly (readonly [string, string])[];
      /** Keys that could not be read or have wrong bytes. */
      readonly broken: readonly string[];
      readonly stats: EngineStats;
    }
  | { readonly kind: 'verified'; readonly damages: readonly string[] }
  | { readonly kind: 'ended'; readonly how: string; readonly reason: string };

/** A value that tells its key and its tag all over. */
export function valueOf(key: string, tag: string, sizeBytes: number): Buffer {
  const head = `${tag};${key};`;
  return Buffer.alloc(Math.max(sizeBytes, head.length), head);
}

/** The tag in a value; empty when there is none. */
export function tagOfValue(value: Uint8Array): string {
  return (
    Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1').split(';', 1)[0] ??
    ''
  );
}

/** Whether every byte of a value is what {@link valueOf} put there, for this key. */
export function isWholeValue(key: string, value: Uint8Array): boolean {
  return valueOf(key, tagOfValue(value), value.length).equals(value);
}
