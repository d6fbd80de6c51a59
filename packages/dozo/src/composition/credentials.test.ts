import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { SeededRandom } from '@dozo/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { provideCredentials } from './credentials.ts';

const SECRET = 'do-not-show-me-anywhere';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-credentials-'));
  path = join(directory, 'credentials.json');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

const provide = (environment: NodeJS.ProcessEnv = {}, seed = 1) =>
  provideCredentials(path, environment, new SeededRandom(seed));

/** The message of a refusal, after checking that it is one and that it keeps the secret. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'CREDENTIALS_INVALID' });
  const { message } = error as Error;
  expect(message).not.toContain(SECRET);
  return message;
}

const writePair = (pair: object, mode = 0o600) => writeFile(path, JSON.stringify(pair), { mode });

describe('provideCredentials', () => {
  it('makes a pair on the first start and finds it again later', async () => {
    const made = await provide({}, 1);
    expect(made.source).toBe('file');
    expect(made.accessKeyId).toMatch(/^DOZO[A-Z0-9]{16}$/);
    expect(made.secretAccessKey).toMatch(/^[A-Za-z0-9]{40}$/);
    expect(await provide({}, 2)).toEqual(made);
  });

  it('keeps the pair where only its owner can read it, and leaves nothing else behind', async () => {
    await provide();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['credentials.json']);
  });

  it('writes the form that a credential_process of AWS tools answers with', async () => {
    const made = await provide();
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      Version: 1,
      AccessKeyId: made.accessKeyId,
      SecretAccessKey: made.secretAccessKey,
    });
  });

  it('gives two starts that come at once the same pair', async () => {
    const pairs = await Promise.all([1, 2, 3, 4].map((seed) => provide({}, seed)));
    expect(new Set(pairs.map((pair) => pair.accessKeyId)).size).toBe(1);
  });

  it('takes the pair of the environment and writes no file', async () => {
    const environment = { DOZO_ACCESS_KEY_ID: 'me', DOZO_SECRET_ACCESS_KEY: SECRET };
    await refusal(provide(environment));
    environment.DOZO_ACCESS_KEY_ID = 'myself';
    expect(await provide(environment)).toEqual({
      accessKeyId: 'myself',
      secretAccessKey: SECRET,
      source: 'environment',
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses half a pair in the environment and names the missing half', async () => {
    expect(await refusal(provide({ DOZO_SECRET_ACCESS_KEY: SECRET }))).toContain(
      'DOZO_ACCESS_KEY_ID is not',
    );
    expect(await refusal(provide({ DOZO_ACCESS_KEY_ID: 'myself' }))).toContain(
      'DOZO_SECRET_ACCESS_KEY is not',
    );
  });

  it.each([
    ['a/slash', SECRET],
    ['', SECRET],
    ['x'.repeat(129), SECRET],
    ['myself', 'short'],
    ['myself', `${SECRET} with a space`],
    ['myself', SECRET.repeat(10)],
  ])('refuses the pair %j, %j, which clients could not sign with', async (id, secret) => {
    await refusal(provide({ DOZO_ACCESS_KEY_ID: id, DOZO_SECRET_ACCESS_KEY: secret }));
  });

  it('refuses a file that others can read and says how to close it', async () => {
    await writePair({ Version: 1, AccessKeyId: 'myself', SecretAccessKey: SECRET }, 0o640);
    expect(await refusal(provide())).toContain(`chmod 600 '${path}'`);
  });

  it.each([
    `{"AccessKeyId":"myself","SecretAccessKey":"${SECRET}`,
    `{"AccessKeyId":"${SECRET}"}`,
    'null',
    `"${SECRET}"`,
    `{"AccessKeyId":"my self","SecretAccessKey":"${SECRET}"}`,
    ' '.repeat(20_000),
  ])('refuses a damaged file without quoting it: %.20s', async (content) => {
    await writeFile(path, content, { mode: 0o600 });
    await refusal(provide());
    expect(await readFile(path, 'utf8')).toBe(content);
  });

  it('says which directory cannot be written', async () => {
    path = join(directory, 'missing', 'credentials.json');
    await expect(provide()).rejects.toMatchObject({ code: 'DATA_DIRECTORY_UNUSABLE' });
  });
});
