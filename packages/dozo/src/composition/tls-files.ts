/** The certificate and key of `--tls-cert` and `--tls-key`, read and checked before anything starts. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';

import { causeName, CommandError } from '../errors.ts';

export interface TlsFiles {
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Absolute; what clients of a self-signed certificate are told to trust. */
  readonly certificatePath: string;
}

/** Reads both; undefined if neither is asked for. Throws `TLS_UNUSABLE` and `USAGE_INVALID`. */
export async function loadTlsFiles(
  certificatePath: string | undefined,
  keyPath: string | undefined,
): Promise<TlsFiles | undefined> {
  if (certificatePath === undefined && keyPath === undefined) return undefined;
  if (certificatePath === undefined || keyPath === undefined) {
    throw new CommandError('--tls-cert and --tls-key are given together or not at all', {
      code: 'USAGE_INVALID',
    });
  }
  const certificate = await readPem(certificatePath, 'certificate');
  const key = await readPem(keyPath, 'key');
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      `the certificate ${certificatePath} and the key ${keyPath} cannot be used: ${what}; both must be PEM, and the key must be the certificate's, without a passphrase`,
      { code: 'TLS_UNUSABLE', path: certificatePath },
      { cause: error },
    );
  }
  return { certificate, key, certificatePath: resolve(certificatePath) };
}

async function readPem(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(
      `cannot read the TLS ${what} ${path}: ${causeName(error)}`,
      { code: 'TLS_UNUSABLE', path },
      { cause: error },
    );
  }
}
