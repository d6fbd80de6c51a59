import { describe, expect, it } from 'vitest';

import { readUpSettings } from './up-settings.ts';
import type { UpOptions } from './up-settings.ts';

const defaults: UpOptions = {
  data: '/data',
  host: '127.0.0.1',
  port: 9000,
  device: [],
  domain: [],
  wait: false,
  discard: 'auto',
  cache: 64 * 2 ** 20,
  logLevel: 'info',
  logFormat: 'auto',
};

const read = (options: Partial<UpOptions> = {}) => readUpSettings({ ...defaults, ...options }, {});

const refusal = (code: string, pattern: RegExp): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(pattern) as string });

describe('readUpSettings', () => {
  it('puts the health port beside the S3 port', () => {
    expect(read().healthPort).toBe(9001);
    expect(read({ port: 0 }).healthPort).toBe(0);
    expect(read({ healthPort: 80 }).healthPort).toBe(80);
    expect(() => read({ port: 65_535 })).toThrow(refusal('USAGE_INVALID', /--health-port/));
    expect(() => read({ healthPort: 9000 })).toThrow(refusal('USAGE_INVALID', /must differ/));
    expect(read({ port: 0, healthPort: 0 }).healthPort).toBe(0);
  });

  it('takes one device, and says that several come later', () => {
    expect(read({ device: ['/dev/sdb'] }).devicePath).toBe('/dev/sdb');
    expect(() => read({ device: ['/dev/sdb', '/dev/sdc'] })).toThrow(
      refusal('NOT_YET', /replication/),
    );
  });

  it('refuses a size where no file is made', () => {
    expect(() => read({ device: ['/dev/sdb'], size: 1 })).toThrow(refusal('USAGE_INVALID', /size/));
  });

  it('takes a cache that is large enough for something', () => {
    expect(read({ cache: 2 ** 20 }).cacheBytes).toBe(2 ** 20);
    expect(() => read({ cache: 2 ** 20 - 1 })).toThrow(refusal('USAGE_INVALID', /at least 1 MiB/));
  });

  it('rounds the size down to whole blocks', () => {
    expect(read({ size: 1_000_000 }).deviceFileBytes).toBe(999_424);
  });

  it('reads domains without regard to case and refuses what is none', () => {
    expect(read({ domain: ['S3.Example.org', 'localhost'] }).domains).toEqual([
      's3.example.org',
      'localhost',
    ]);
    for (const domain of ['', '.x', 'a..b', 'a b', 'x:9000', '-x', 'x/', 'x.']) {
      expect(() => read({ domain: [domain] })).toThrow(refusal('USAGE_INVALID', /host name/));
    }
  });
});
