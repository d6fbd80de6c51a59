/**
 * Files that tell others where a running daemon answers: `runtime.json` in the data directory, read
 * by `dozo status`, and the file of `--ready-file`, for scripts that wait until it serves.
 *
 * Both have the same content, appear whole, and are removed by a clean stop. After a crash they stay
 * behind: a reader asks the daemon and compares `instance` before it believes one.
 */
import { readFile, rm } from 'node:fs/promises';

import { causeName } from '../errors.ts';
import { replaceFile } from './atomic-file.ts';

/** What the files hold. */
export interface RuntimeInfo {
  readonly pid: number;
  /** Random, another one for every start. */
  readonly instance: string;
  /** The S3 endpoint, a URL. */
  readonly endpoint: string;
  /** The base URL of the health port. */
  readonly healthEndpoint: string;
  readonly device: string;
  readonly dataDirectory: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly version: string;
}

/** Writes one of the files, whole. */
export async function writeRuntimeFile(path: string, info: RuntimeInfo): Promise<void> {
  const content = `${JSON.stringify(info, undefined, 2)}\n`;
  await replaceFile({ path, content, mode: 0o644 }, info.instance);
}

/** Reads one; undefined if there is none or it is not one. */
export async function readRuntimeFile(path: string): Promise<RuntimeInfo | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || causeName(error) === 'ENOENT') return undefined;
    throw error;
  }
  return isRuntimeInfo(value) ? value : undefined;
}

/**
 * Removes one that a process left behind which is no more, so that nobody who waits for a new one
 * takes it for that. One whose process lives is left alone: that may be a daemon that serves.
 */
export async function removeStaleRuntimeFile(path: string): Promise<void> {
  const info = await readRuntimeFile(path);
  if (info !== undefined && !isProcessAlive(info.pid)) await removeRuntimeFile(path);
}

/** Removes one, if it is there. */
export async function removeRuntimeFile(path: string): Promise<void> {
  await rm(path, { force: true });
}

function isRuntimeInfo(value: unknown): value is RuntimeInfo {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, instance, healthEndpoint, device } = value as Partial<Record<string, unknown>>;
  return (
    typeof pid === 'number' &&
    typeof instance === 'string' &&
    typeof healthEndpoint === 'string' &&
    typeof device === 'string'
  );
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Anything else, such as EPERM, means that there is one.
    return causeName(error) !== 'ESRCH';
  }
}
