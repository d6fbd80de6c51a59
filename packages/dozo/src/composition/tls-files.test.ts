import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { loadTlsFiles } from './tls-files.ts';

const fixtures = join(import.meta.dirname, '../../tests/tls');
const certificate = join(fixtures, 'localhost-certificate.pem');
const key = join(fixtures, 'localhost-key.pem');

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-tls-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('loadTlsFiles', () => {
  it('serves plain HTTP when neither is asked for', async () => {
    expect(await loadTlsFiles(undefined, undefined)).toBeUndefined();
  });

  it('reads a certificate and its key', async () => {
    const files = await loadTlsFiles(certificate, key);
    expect(files?.certificate.toString()).toContain('BEGIN CERTIFICATE');
    expect(files?.key.toString()).toContain('PRIVATE KEY');
  });

  it('refuses one without the other', async () => {
    await expect(loadTlsFiles(certificate, undefined)).rejects.toMatchObject({
      code: 'USAGE_INVALID',
    });
    await expect(loadTlsFiles(undefined, key)).rejects.toMatchObject({ code: 'USAGE_INVALID' });
  });

  it('names the file that cannot be read', async () => {
    const missing = join(directory, 'missing.pem');
    await expect(loadTlsFiles(certificate, missing)).rejects.toMatchObject({
      code: 'TLS_UNUSABLE',
      detail: { path: missing },
    });
  });

  it('refuses a key that is not the one of the certificate', async () => {
    await expect(loadTlsFiles(certificate, join(fixtures, 'other-key.pem'))).rejects.toMatchObject({
      code: 'TLS_UNUSABLE',
    });
  });

  it('refuses what is no certificate', async () => {
    const garbage = join(directory, 'garbage.pem');
    await writeFile(garbage, 'hello');
    await expect(loadTlsFiles(garbage, key)).rejects.toMatchObject({ code: 'TLS_UNUSABLE' });
  });
});
