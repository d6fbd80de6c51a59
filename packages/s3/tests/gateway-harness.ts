/**
 * A gateway on a placement group on a model engine, with a client that may use it: everything real
 * but the device.
 */
import { SeededRandom } from '@dozo/base';
import type { Clock } from '@dozo/base';
import { PlacementGroup } from '@dozo/osd';
import type { PoolId, TransactionStore } from '@dozo/replica';
import { ModelEngine } from '@dozo/simulator';
import { createS3Gateway } from '../src/index.ts';
import type { S3Gateway, S3Limits } from '../src/index.ts';
import { TestClient } from './s3-client.ts';

export const POOLS = { index: 1 as PoolId, data: 2 as PoolId };

/** Small numbers, so that a few hundred bytes are a body of many chunks. */
export const SMALL_LIMITS: Partial<S3Limits> = {
  inlineBytesMax: 64,
  chunkBytes: 100,
  partBytesMin: 150,
};

export interface Harness {
  readonly gateway: S3Gateway;
  readonly store: TransactionStore;
  readonly client: TestClient;
  readonly port: number;
  /** Messages of `warn` and `error`. */
  readonly complaints: { readonly message: string; readonly fields: Record<string, unknown> }[];
  stop(): Promise<void>;
}

/** Real time: these tests drive real sockets. */
const REAL_CLOCK: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  turn: () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
  startTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** Starts one on a port of its own. */
export async function startGateway(
  options: {
    readonly limits?: Partial<S3Limits>;
    readonly store?: TransactionStore;
    readonly baseDomains?: readonly string[];
  } = {},
): Promise<Harness> {
  const store = options.store ?? new PlacementGroup({ engine: new ModelEngine() });
  const complaints: Harness['complaints'] = [];
  const complain = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    complaints.push({ message, fields });
  };
  const quiet = (): void => undefined;
  const gateway = createS3Gateway({
    store,
    pools: POOLS,
    clock: REAL_CLOCK,
    random: new SeededRandom('gateway'),
    logger: { debug: quiet, info: quiet, warn: complain, error: complain },
    secretOf: (accessKeyId) => (accessKeyId === 'AKIDTEST' ? 'secret' : undefined),
    baseDomains: options.baseDomains ?? [],
    limits: { ...SMALL_LIMITS, ...options.limits },
  });
  const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 });
  const client = new TestClient({
    port,
    accessKeyId: 'AKIDTEST',
    secret: 'secret',
    nowMs: () => Date.now(),
  });
  return {
    gateway,
    store,
    client,
    port,
    complaints,
    async stop() {
      client.close();
      await gateway.stop();
    },
  };
}
