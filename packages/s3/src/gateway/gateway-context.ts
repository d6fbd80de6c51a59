/**
 * What every operation works with, and how an operation takes bytes of memory for bodies.
 */
import type { Clock, Random } from '@dozo/base';
import type { S3Limits } from '../limits.ts';
import type { BucketRoute, ObjectRoute, Owner } from '../protocol/index.ts';
import type { S3Store } from '../store/s3-store.ts';
import type { Gate } from './admission.ts';
import type { Exchange } from './exchange.ts';
import type { Logger } from './logger.ts';

/** See the file comment. */
export interface GatewayContext {
  readonly store: S3Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: S3Limits;
  readonly owner: Owner;
  /** What GetBucketLocation tells; undefined for us-east-1. */
  readonly region: string | undefined;
  readonly logger: Logger;
  readonly gates: BodyGates;
}

/**
 * Memory for bodies, in three parts, so that none of them can starve another: clients that upload or
 * download slowly hold theirs for minutes, and a small request must not stand in line behind them.
 */
export interface BodyGates {
  /** Bodies that are read whole: small objects, documents. */
  readonly small: Gate;
  /** Bodies that stream in, and copies. */
  readonly upload: Gate;
  /** Bodies that stream out. */
  readonly download: Gate;
}

/** An operation on a bucket; answers, or throws what is answered. */
export type BucketHandler = (
  context: GatewayContext,
  exchange: Exchange,
  route: BucketRoute,
) => Promise<void>;

/** An operation on an object; answers, or throws what is answered. */
export type ObjectHandler = (
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
) => Promise<void>;

/**
 * Takes bytes of a gate for a request, which gives them back when it ends.
 *
 * @throws S3Error `SlowDown`
 */
export function holdBytes(
  gate: Gate,
  exchange: Exchange,
  sizeBytes: number,
): Promise<void> | undefined {
  const waiting = gate.take(sizeBytes);
  if (waiting === undefined) {
    exchange.hold(gate, sizeBytes);
    return undefined;
  }
  return waiting.then(() => {
    exchange.hold(gate, sizeBytes);
  });
}

/** How much memory a body of this size takes while it streams in: at most two chunks. */
export function streamingBytes(context: GatewayContext, sizeBytes: number | undefined): number {
  const { chunkBytes } = context.limits;
  if (sizeBytes === undefined || sizeBytes > chunkBytes) return 2 * chunkBytes;
  return sizeBytes;
}

/** How much memory a body of this size takes while it streams out: at most two slices. */
export function downloadBytes(context: GatewayContext, sizeBytes: number): number {
  return Math.min(sizeBytes, 2 * context.limits.readSliceBytes);
}
