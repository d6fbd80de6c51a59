/** What `dozo up` was asked to do, checked before anything is touched. */
import { resolve } from 'node:path';

import { CommandError } from '../errors.ts';
import { CACHE_BYTES_MIN } from '../limits.ts';
import { formatSize } from '../sizes.ts';
import type { DataDirectory } from './data-directory.ts';
import { dataDirectoryAt, defaultDataDirectory } from './data-directory.ts';
import type { LogFormat, LogLevel } from './log.ts';

/** When the device is told what is free: `auto` is on for block devices, off for files. */
export type DiscardMode = 'auto' | 'on' | 'off';

/** The choices of `--discard`. */
export const DISCARD_MODES: readonly DiscardMode[] = ['auto', 'on', 'off'];

/** The options as the command line gives them. */
export interface UpOptions {
  readonly data?: string;
  readonly host: string;
  readonly port: number;
  readonly healthPort?: number;
  /** In bytes. */
  readonly size?: number;
  readonly device: readonly string[];
  readonly domain: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly readyFile?: string;
  readonly wait: boolean;
  readonly discard: DiscardMode;
  /** In bytes. */
  readonly cache: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export interface UpSettings {
  readonly directory: DataDirectory;
  /** Absolute; undefined: the file in the data directory. */
  readonly devicePath: string | undefined;
  /** Of the device file that a first start makes; undefined: chosen by the free space. */
  readonly deviceFileBytes: number | undefined;
  readonly host: string;
  readonly port: number;
  readonly healthPort: number;
  readonly domains: readonly string[];
  readonly tlsCertificatePath: string | undefined;
  readonly tlsKeyPath: string | undefined;
  readonly readyFile: string | undefined;
  /** Wait for whoever holds the device instead of refusing. */
  readonly isWaiting: boolean;
  readonly discard: DiscardMode;
  /** Memory for blocks of the index. */
  readonly cacheBytes: number;
}

/** Device files are whole blocks of so many bytes. */
const BLOCK_BYTES = 4096;

/** Checks the options and fills in what depends on others. Throws `USAGE_INVALID` and `NOT_YET`. */
export function readUpSettings(options: UpOptions, environment: NodeJS.ProcessEnv): UpSettings {
  const [devicePath, ...more] = options.device;
  if (more.length > 0) {
    throw new CommandError(
      `--device was given ${options.device.length} times; several devices come with replication, which is not there yet; give one`,
      { code: 'NOT_YET', feature: 'several devices' },
    );
  }
  if (devicePath !== undefined && options.size !== undefined) {
    throw usage(
      '--size is the size of the file that a first start makes in the data directory; with --device there is none',
    );
  }
  if (options.cache < CACHE_BYTES_MIN) {
    throw usage(
      `--cache ${options.cache} is too small: at least ${formatSize(CACHE_BYTES_MIN)} are needed`,
    );
  }
  return {
    directory: dataDirectoryAt(options.data ?? defaultDataDirectory(environment)),
    devicePath: devicePath === undefined ? undefined : resolve(devicePath),
    deviceFileBytes:
      options.size === undefined ? undefined : options.size - (options.size % BLOCK_BYTES),
    host: options.host,
    port: options.port,
    healthPort: healthPortOf(options),
    domains: options.domain.map(readDomain),
    tlsCertificatePath: options.tlsCert,
    tlsKeyPath: options.tlsKey,
    readyFile: options.readyFile === undefined ? undefined : resolve(options.readyFile),
    isWaiting: options.wait,
    discard: options.discard,
    cacheBytes: options.cache,
  };
}

function healthPortOf({ port, healthPort }: UpOptions): number {
  if (healthPort === undefined) {
    if (port === 0) return 0;
    if (port < 65_535) return port + 1;
    throw usage('there is no port after 65535 for /livez and /readyz; say one with --health-port');
  }
  if (healthPort === port && port !== 0) {
    throw usage(`--port and --health-port are both ${port}; they must differ`);
  }
  return healthPort;
}

function readDomain(name: string): string {
  const domain = name.toLowerCase();
  const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
  if (!new RegExp(`^${label}(\\.${label})*$`).test(domain)) {
    throw usage(`--domain ${name} is not a host name, such as s3.example.org`);
  }
  return domain;
}

function usage(message: string): CommandError {
  return new CommandError(message, { code: 'USAGE_INVALID' });
}
