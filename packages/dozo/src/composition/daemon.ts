/**
 * One running `dozo up`: puts the real parts together, in an order that matters.
 *
 * Start: the device under its lock first (so that a second start is refused by the lock, with the
 * holder's name, and not by a port), then the health port (so that `/livez` answers while recovery
 * runs), the engine, the placement group, the S3 gateway, and the ready file last.
 *
 * Stop is the reverse: not ready, no new requests, running ones end, the engine closes clean; the
 * health port answers until then.
 */
import { hasCode, hexOfBytes } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import { formatDevice, openEngine } from '@dozo/engine';
import type { Engine, EngineEnd } from '@dozo/engine';
import { isOnLocalFileSystem, WorkerCompute } from '@dozo/platform';
import type { FileDevice } from '@dozo/platform';
import type { Logger } from 'pino';

import { dozoVersion } from '../version.ts';
import { replaceFile } from './atomic-file.ts';
import { awsConfigText } from './aws-profile.ts';
import type { AwsProfile } from './aws-profile.ts';
import { claimHolder } from './claim-holder.ts';
import { logClaimProgress } from './claim-progress.ts';
import { provideCredentials } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { engineStatus } from './daemon-status.ts';
import type { DaemonStatus } from './daemon-status.ts';
import { dataDirectoryError, ensureDataDirectory } from './data-directory.ts';
import { endpointUrl } from './endpoint.ts';
import { startHealthServer } from './health-server.ts';
import type { DaemonPhase, HealthServer } from './health-server.ts';
import { removeRuntimeFile, removeStaleRuntimeFile, writeRuntimeFile } from './runtime-file.ts';
import type { RuntimeInfo } from './runtime-file.ts';
import { startS3Service } from './s3-service.ts';
import type { S3Service } from './s3-service.ts';
import { openServedDevice } from './served-device.ts';
import { logVerifyProgress } from './verify-progress.ts';
import type { TlsFiles } from './tls-files.ts';
import type { DiscardMode, UpSettings } from './up-settings.ts';

export interface DaemonParts {
  readonly settings: UpSettings;
  readonly tls: TlsFiles | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Ends the waiting for the device and its claim. */
  readonly stop: AbortSignal;
}

/** What {@link Daemon.start} has found out, for the announcement. */
export interface Serving {
  readonly profile: AwsProfile;
  readonly info: RuntimeInfo;
  /** Nothing is stored yet. */
  readonly isEmpty: boolean;
}

/** See the file comment. Started once, stopped once. */
export class Daemon {
  readonly #parts: DaemonParts;
  readonly #instance: string;
  readonly #startedAtMs: number;
  readonly #startedAtWallMs: number;
  /** Merges of the tree: beside the thread that serves. */
  readonly #compute: WorkerCompute;
  #phase: DaemonPhase = 'starting';
  #device: Device | undefined;
  #health: HealthServer | undefined;
  #engine: Engine | undefined;
  #s3: S3Service | undefined;

  constructor(parts: DaemonParts) {
    this.#parts = parts;
    this.#instance = hexOfBytes(parts.random.bytes(16));
    this.#startedAtMs = parts.clock.monotonicMs();
    this.#startedAtWallMs = parts.clock.wallMs();
    this.#compute = new WorkerCompute({
      onWorkerLost: (reason) => {
        parts.log.warn(
          { reason },
          'the thread that merges tables has ended; others go on, in the end the one that serves',
        );
      },
    });
  }

  /** Resolves when it serves. After a rejection, {@link abandon} closes what had been opened. */
  async start(): Promise<Serving> {
    const { settings, environment, clock, random, log, stop } = this.#parts;
    const { directory, readyFile } = settings;
    await ensureDataDirectory(directory);
    if (readyFile !== undefined) await removeStaleRuntimeFile(readyFile);
    const format = async (device: Device): Promise<void> => {
      // A file that we make on a disk of this machine is nobody else's.
      const isLocal = await isOnLocalFileSystem(directory.path);
      await formatDevice({ device, clock, random, isLocal });
    };
    // A start that waits answers `/livez`, so that nobody takes it for dead.
    if (settings.isWaiting) await this.#startHealth().catch(ignoreAddressInUse);
    const device = await openServedDevice(settings, format, { log, clock, signal: stop });
    this.#device = device;
    const credentials = await provideCredentials(directory.credentialsFile, environment, random);
    if (this.#health === undefined) await this.#startHealth();
    const holder = claimHolder(environment);
    const startMs = clock.monotonicMs();
    const onVerifyProgress = logVerifyProgress(log);
    this.#engine = await openEngine({
      device,
      clock,
      random,
      holder,
      wait: settings.isWaiting,
      discard: discards(device, settings.discard),
      cacheBytes: settings.cacheBytes,
      compute: this.#compute,
      onProgress: logClaimProgress(log, clock),
      signal: stop,
      onVerifyProgress,
    });
    // The claim is ours, so whoever wrote these is gone.
    await this.#removeRuntimeFiles();
    const { keyCount, liveBytes } = this.#engine.stats();
    const openMs = Math.round(clock.monotonicMs() - startMs);
    log.info({ device: device.path, keyCount, liveBytes, openMs }, 'opened the device');
    this.#s3 = await startS3Service({ ...this.#parts, engine: this.#engine, credentials });
    const profile = await this.#writeAwsConfig(credentials);
    this.#phase = 'serving';
    await this.#writeRuntimeFiles();
    return { profile, info: this.#info(), isEmpty: await isEmpty(this.#engine) };
  }

  /** Resolves when the engine has ended by itself; only after a start that succeeded. */
  get ended(): Promise<EngineEnd> {
    return this.#engine?.ended ?? new Promise<EngineEnd>(() => undefined);
  }

  /** Stops clean: what was accepted ends, nothing new begins, all is durable. */
  async stop(): Promise<void> {
    this.#phase = 'stopping';
    const { readyFile } = this.#parts.settings;
    if (readyFile !== undefined) await removeRuntimeFile(readyFile);
    await this.#s3?.stop();
    await this.#engine?.close();
    await this.#compute.close();
    // Before the lock goes: the next holder may write its own.
    await this.#removeRuntimeFiles();
    await this.#device?.close();
    await this.#health?.close();
  }

  /**
   * Ends what can be ended after a failure, with no grace for requests: the process ends next, and
   * takes them with it.
   */
  async abandon(): Promise<void> {
    this.#phase = 'failed';
    await this.#engine?.close().catch(() => undefined);
    await this.#compute.close();
    // Where another has taken over, they may be that one's by now.
    if (this.#engine?.stats().state === 'failed') await this.#removeRuntimeFiles();
    await this.#device?.close();
    await this.#health?.close();
  }

  async #startHealth(): Promise<void> {
    const { host, healthPort: port } = this.#parts.settings;
    const phase = (): DaemonPhase => this.#phase;
    this.#health = await startHealthServer({ host, port, phase, status: () => this.#status() });
  }

  async #writeAwsConfig(credentials: Credentials): Promise<AwsProfile> {
    const { directory } = this.#parts.settings;
    const profile: AwsProfile = {
      endpoint: this.#endpoint(),
      credentialsFile: directory.credentialsFile,
      source: credentials.source,
      tlsCertificateFile: this.#parts.tls?.certificatePath,
    };
    const file = { path: directory.awsConfigFile, content: awsConfigText(profile), mode: 0o644 };
    try {
      await replaceFile(file, this.#instance);
    } catch (error) {
      throw dataDirectoryError(file.path, 'cannot write', error);
    }
    return profile;
  }

  async #writeRuntimeFiles(): Promise<void> {
    for (const path of this.#runtimeFiles()) {
      try {
        await writeRuntimeFile(path, this.#info());
      } catch (error) {
        throw dataDirectoryError(path, 'cannot write', error);
      }
    }
  }

  async #removeRuntimeFiles(): Promise<void> {
    for (const path of this.#runtimeFiles()) await removeRuntimeFile(path);
  }

  /** The ready file last: whoever waits for it finds everything else in place. */
  #runtimeFiles(): readonly string[] {
    const { directory, readyFile } = this.#parts.settings;
    return readyFile === undefined ? [directory.runtimeFile] : [directory.runtimeFile, readyFile];
  }

  #endpoint(): string {
    const { settings, tls } = this.#parts;
    const scheme = tls === undefined ? 'http' : 'https';
    return endpointUrl(scheme, settings.host, this.#s3?.port ?? settings.port);
  }

  #info(): RuntimeInfo {
    const { settings } = this.#parts;
    return {
      pid: process.pid,
      instance: this.#instance,
      endpoint: this.#endpoint(),
      healthEndpoint: endpointUrl('http', settings.host, this.#health?.port ?? settings.healthPort),
      device: this.#device?.path ?? '',
      dataDirectory: settings.directory.path,
      startedAt: new Date(this.#startedAtWallMs).toISOString(),
      version: dozoVersion(),
    };
  }

  #status(): DaemonStatus {
    const engine = this.#engine?.stats();
    return {
      ...this.#info(),
      phase: this.#phase,
      uptimeMs: Math.round(this.#parts.clock.monotonicMs() - this.#startedAtMs),
      node: process.versions.node,
      residentBytes: process.memoryUsage.rss(),
      ...(engine === undefined ? {} : { engine: engineStatus(engine) }),
      ...(this.#s3 === undefined ? {} : { s3: this.#s3.stats() }),
    };
  }
}

/** Asked of the keys themselves: how many there are the engine may know only about. */
async function isEmpty(engine: Engine): Promise<boolean> {
  const rows = engine.scan({}, { limit: 1, values: false })[Symbol.asyncIterator]();
  const { done } = await rows.next();
  // A scan that is left hanging keeps all that it may still read from being used again.
  await rows.return?.();
  return done === true;
}

/** Blocks of a file were allocated on purpose: it gets no holes unless somebody asks for them. */
function discards(device: FileDevice, mode: DiscardMode): boolean {
  return mode === 'on' || (mode === 'auto' && device.isBlockDevice);
}

/** Whoever is waited for may be the one that listens there. */
function ignoreAddressInUse(error: unknown): void {
  if (!hasCode(error, 'ADDRESS_IN_USE')) throw error;
}
