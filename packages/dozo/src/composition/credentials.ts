/**
 * The root credentials: from the environment, else from a file, else made.
 *
 * The file has the form that AWS tools want from a `credential_process`, so that a profile can
 * simply `cat` it and the secret lies in one place only. A secret never goes into a log, a message
 * or the output.
 *
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
 */
import { open } from 'node:fs/promises';

import type { Random } from '@dozo/base';

import { causeName, CommandError } from '../errors.ts';
import {
  ACCESS_KEY_ID_LENGTH_MAX,
  ACCESS_KEY_ID_LENGTH_MIN,
  CREDENTIALS_FILE_BYTES_MAX,
  SECRET_LENGTH_MAX,
  SECRET_LENGTH_MIN,
} from '../limits.ts';
import { createFileOnce } from './atomic-file.ts';
import { dataDirectoryError } from './data-directory.ts';

export const ACCESS_KEY_ID_VARIABLE = 'DOZO_ACCESS_KEY_ID';
export const SECRET_VARIABLE = 'DOZO_SECRET_ACCESS_KEY';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Where they are kept, for people. */
  readonly source: 'environment' | 'file';
}

/**
 * Finds the credentials of this data directory, making them on a first start.
 *
 * Throws `CREDENTIALS_INVALID` and `DATA_DIRECTORY_UNUSABLE`.
 */
export async function provideCredentials(
  path: string,
  environment: NodeJS.ProcessEnv,
  random: Random,
): Promise<Credentials> {
  const given = credentialsFromEnvironment(environment);
  if (given !== undefined) return given;
  const kept = await readCredentials(path);
  if (kept !== undefined) return kept;
  const made = {
    Version: 1,
    AccessKeyId: `DOZO${randomText(random, 16, UPPER_CASE_AND_DIGITS)}`,
    SecretAccessKey: randomText(random, 40, LETTERS_AND_DIGITS),
  };
  const file = { path, content: `${JSON.stringify(made, undefined, 2)}\n`, mode: 0o600 };
  try {
    await createFileOnce(file, randomText(random, 12, UPPER_CASE_AND_DIGITS));
  } catch (error) {
    throw dataDirectoryError(path, 'cannot keep credentials in', error);
  }
  // Read back: another start may have been first, and then its pair is the one that counts.
  const published = await readCredentials(path);
  if (published === undefined) throw invalid(`${path} has vanished while it was made; start again`);
  return published;
}

/**
 * The pair of variables; undefined if neither is set.
 *
 * Throws `CREDENTIALS_INVALID` for half a pair, and for one that clients could not sign with.
 */
export function credentialsFromEnvironment(
  environment: NodeJS.ProcessEnv,
): Credentials | undefined {
  const accessKeyId = environment[ACCESS_KEY_ID_VARIABLE];
  const secretAccessKey = environment[SECRET_VARIABLE];
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const [set, missing] =
      accessKeyId === undefined
        ? [SECRET_VARIABLE, ACCESS_KEY_ID_VARIABLE]
        : [ACCESS_KEY_ID_VARIABLE, SECRET_VARIABLE];
    throw invalid(`${set} is set and ${missing} is not; set both, or neither`);
  }
  const wrong = problemOf(accessKeyId, secretAccessKey);
  if (wrong !== undefined) {
    throw invalid(`${ACCESS_KEY_ID_VARIABLE} and ${SECRET_VARIABLE} cannot be used: ${wrong}`);
  }
  return { accessKeyId, secretAccessKey, source: 'environment' };
}

/** Reads the file; undefined if there is none. */
async function readCredentials(path: string): Promise<Credentials | undefined> {
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  const { AccessKeyId, SecretAccessKey } = parseObject(text);
  if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string') {
    throw invalid(
      `${path} is not a JSON object with AccessKeyId and SecretAccessKey; bring it back from a backup, or move it away and a new pair will be made (clients then need the new one)`,
    );
  }
  const wrong = problemOf(AccessKeyId, SecretAccessKey);
  if (wrong !== undefined) throw invalid(`the pair in ${path} cannot be used: ${wrong}`);
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, source: 'file' };
}

async function readPrivateFile(path: string): Promise<string | undefined> {
  let handle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (causeName(error) === 'ENOENT') return undefined;
    throw dataDirectoryError(path, 'cannot read', error);
  }
  try {
    const { mode, size } = await handle.stat();
    if ((mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8);
      throw invalid(
        `${path} holds a secret and others may touch it (mode ${shown}); say: chmod 600 '${path}'`,
      );
    }
    if (size > CREDENTIALS_FILE_BYTES_MAX) {
      throw invalid(`${path} is ${size} bytes long, which no credentials are; move it away`);
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // The parser's message would quote the file, and so the secret.
    return {};
  }
}

/** What is wrong with a pair, without quoting any of it. */
function problemOf(accessKeyId: string, secretAccessKey: string): string | undefined {
  if (
    accessKeyId.length < ACCESS_KEY_ID_LENGTH_MIN ||
    accessKeyId.length > ACCESS_KEY_ID_LENGTH_MAX
  ) {
    return `an access key id has ${ACCESS_KEY_ID_LENGTH_MIN} to ${ACCESS_KEY_ID_LENGTH_MAX} characters, this one ${accessKeyId.length}`;
  }
  // A slash, a comma or an equals sign would break the credential scope of a signature.
  if (!/^[A-Za-z0-9._~@+-]+$/.test(accessKeyId)) {
    return 'an access key id has letters, digits and . _ ~ @ + - only';
  }
  if (secretAccessKey.length < SECRET_LENGTH_MIN || secretAccessKey.length > SECRET_LENGTH_MAX) {
    return `a secret has ${SECRET_LENGTH_MIN} to ${SECRET_LENGTH_MAX} characters, this one ${secretAccessKey.length}`;
  }
  if (!/^[\x21-\x7e]+$/.test(secretAccessKey)) return 'a secret has visible ASCII characters only';
  return undefined;
}

const UPPER_CASE_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const LETTERS_AND_DIGITS = `${UPPER_CASE_AND_DIGITS}abcdefghijklmnopqrstuvwxyz`;

function randomText(random: Random, length: number, alphabet: string): string {
  let text = '';
  for (let index = 0; index < length; index += 1) {
    text += alphabet.charAt(random.below(alphabet.length));
  }
  return text;
}

function invalid(message: string): CommandError {
  return new CommandError(message, { code: 'CREDENTIALS_INVALID' });
}
