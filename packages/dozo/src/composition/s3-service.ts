/** The S3 gateway on one engine: the placement group between them, the pools, the root credentials. */
import type { Clock, Random } from '@dozo/base';
import type { Engine } from '@dozo/engine';
import { PlacementGroup } from '@dozo/osd';
import type { PoolId } from '@dozo/replica';
import { createS3Gateway } from '@dozo/s3';
import type { Logger as GatewayLogger, S3Gateway, S3GatewayStats } from '@dozo/s3';
import type { Logger } from 'pino';

import { REQUEST_GRACE_MS } from '../limits.ts';
import type { Credentials } from './credentials.ts';
import { listenError } from './listen-error.ts';
import type { TlsFiles } from './tls-files.ts';
import type { UpSettings } from './up-settings.ts';

/** Where the gateway keeps what it keeps; written into every key on the device, so fixed for good. */
const POOLS = { index: 1 as PoolId, data: 2 as PoolId };

export interface S3ServiceParts {
  readonly settings: UpSettings;
  readonly tls: TlsFiles | undefined;
  readonly credentials: Credentials;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface S3Service {
  /** The port that it listens on. */
  readonly port: number;
  stats(): S3GatewayStats;
  /** Accepts nobody any more; running requests have {@link REQUEST_GRACE_MS} to end. */
  stop(): Promise<void>;
}

/** Starts to serve S3. Throws `ADDRESS_IN_USE` and `ADDRESS_UNUSABLE`. */
export async function startS3Service(parts: S3ServiceParts): Promise<S3Service> {
  const { settings, clock, random, credentials, tls } = parts;
  const gateway = createS3Gateway({
    store: new PlacementGroup({ engine: parts.engine }),
    pools: POOLS,
    clock,
    random,
    logger: gatewayLogger(parts.log),
    secretOf: (accessKeyId) =>
      accessKeyId === credentials.accessKeyId ? credentials.secretAccessKey : undefined,
    baseDomains: settings.domains,
    limits: { stopTimeoutMs: REQUEST_GRACE_MS },
    ...(tls === undefined ? {} : { tls: { cert: tls.certificate, key: tls.key } }),
  });
  const { port } = await listen(gateway, settings);
  return { port, stats: () => gateway.stats(), stop: () => gateway.stop() };
}

async function listen(gateway: S3Gateway, { host, port }: UpSettings): Promise<{ port: number }> {
  try {
    return await gateway.listen({ host, port });
  } catch (error) {
    throw listenError(error, host, port, '--port');
  }
}

function gatewayLogger(log: Logger): GatewayLogger {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    isDebugEnabled: log.isLevelEnabled('debug'),
  };
}
