/** What the clients of Debian need to find a server: variables, configuration files, their paths. */
import { writeFileSync } from 'node:fs';
import { ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, type DozoServer } from './dozo-server.ts';
import type { Scratch } from './scratch.ts';

/** Debian's own: a machine may have others of these names in front. */
export const AWS = '/usr/bin/aws';
export const S3CMD = '/usr/bin/s3cmd';
export const RCLONE = '/usr/bin/rclone';
export const RESTIC = '/usr/bin/restic';
export const CURL = '/usr/bin/curl';

/** Variables that awscli, rclone (with `env_auth`) and restic read; nothing of the user's own. */
export function clientEnvironment(scratch: Scratch): Record<string, string | undefined> {
  const foreign = Object.keys(process.env).filter((name) => /^(AWS|RCLONE|RESTIC)_/.test(name));
  return {
    ...Object.fromEntries(foreign.map((name) => [name, undefined])),
    HOME: scratch.directory('home'),
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
    AWS_DEFAULT_REGION: REGION,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
    RESTIC_PASSWORD: 'end-to-end',
    RESTIC_CACHE_DIR: scratch.directory('restic-cache'),
  };
}

/** Writes a configuration for s3cmd. @returns its path. */
export function writeS3cmdConfiguration(scratch: Scratch, server: DozoServer): string {
  const path = scratch.join('s3cmd.conf');
  const address = `${server.host}:${server.port}`;
  const lines = [
    '[default]',
    `access_key = ${ACCESS_KEY_ID}`,
    `secret_key = ${SECRET_ACCESS_KEY}`,
    `host_base = ${address}`,
    `host_bucket = ${address}`,
    'use_https = False',
    'signature_v2 = False',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Writes a configuration for rclone with a remote `dozo:`. @returns its path. */
export function writeRcloneConfiguration(scratch: Scratch, server: DozoServer): string {
  const path = scratch.join('rclone.conf');
  const lines = [
    '[dozo]',
    'type = s3',
    'provider = Other',
    'env_auth = true',
    `endpoint = ${server.endpoint}`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
