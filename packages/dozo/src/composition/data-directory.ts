/**
 * The data directory: what is kept where.
 *
 * ```
 * DIR/                 0700
 *   osd-0.device       the device file (absent with --device)
 *   credentials.json   0600, the root credentials (absent when they come from the environment)
 *   aws-config         a profile for AWS tools that points at the above; holds no secret
 *   runtime.json       where the running daemon answers; absent after a clean stop
 * ```
 *
 * The default does not depend on the working directory: a daemon that is started from another place
 * must find the same data.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { causeName, CommandError } from '../errors.ts';

export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  readonly deviceFile: string;
  readonly credentialsFile: string;
  readonly awsConfigFile: string;
  readonly runtimeFile: string;
}

/** Names everything in the directory at `path`; touches nothing. */
export function dataDirectoryAt(path: string): DataDirectory {
  const absolute = resolve(path);
  return {
    path: absolute,
    deviceFile: join(absolute, 'osd-0.device'),
    credentialsFile: join(absolute, 'credentials.json'),
    awsConfigFile: join(absolute, 'aws-config'),
    runtimeFile: join(absolute, 'runtime.json'),
  };
}

/**
 * Where data lies when nobody says: `$XDG_DATA_HOME/dozo`, else `~/.local/share/dozo`.
 *
 * Source: XDG Base Directory Specification 0.8, which wants relative paths ignored.
 */
export function defaultDataDirectory(environment: NodeJS.ProcessEnv): string {
  const dataHome = environment['XDG_DATA_HOME'];
  if (dataHome?.startsWith('/') === true) return join(dataHome, 'dozo');
  const home = environment['HOME'];
  if (home?.startsWith('/') === true) return join(home, '.local', 'share', 'dozo');
  throw new CommandError(
    'cannot choose a place for the data: neither HOME nor XDG_DATA_HOME is set; say where with --data DIR',
    { code: 'USAGE_INVALID' },
  );
}

/** Makes the directory if there is none. Throws `DATA_DIRECTORY_UNUSABLE`. */
export async function ensureDataDirectory(directory: DataDirectory): Promise<void> {
  try {
    await mkdir(directory.path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw dataDirectoryError(directory.path, 'cannot make the data directory', error);
  }
}

/** Wraps what the kernel said about something in the data directory. */
export function dataDirectoryError(path: string, action: string, error: unknown): CommandError {
  const cause = causeName(error);
  return new CommandError(
    `${action} ${path}: ${cause}; give it to this user or choose another place with --data DIR`,
    { code: 'DATA_DIRECTORY_UNUSABLE', path },
    { cause: error },
  );
}
