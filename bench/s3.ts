/**
 * Load generator for any S3 endpoint.
 *
 *   node bench/s3.ts --endpoint http://127.0.0.1:9000 --bucket bench --workload put \
 *     --size 4KiB --concurrency 64 --duration 10
 *
 * Prints a line for people on standard error and JSON on standard output. Credentials come from
 * `--access-key` and `--secret-key` or from the variables that AWS tools read.
 */
import { parseArgs } from 'node:util';
import { describeLoad, runLoad, type LoadOptions, type Workload } from './s3-load.ts';

const workloads: readonly Workload[] = ['put', 'get', 'mixed', 'list'];
const units: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

class UsageError extends Error {}

function sizeOf(text: string): number {
  const match = /^(\d+)([KMG]?i?B?)$/i.exec(text);
  const unit = units[(match?.[2] ?? '').toUpperCase()];
  if (match === null || unit === undefined) throw new UsageError(`Not a size: ${text}`);
  return Number(match[1]) * unit;
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!(value >= 0)) throw new UsageError(`--${name} takes a number, not ${text}`);
  return value;
}

function readOptions(): LoadOptions {
  const { values } = parseArgs({
    options: {
      endpoint: { type: 'string', default: 'http://127.0.0.1:9000' },
      'access-key': { type: 'string', default: process.env['AWS_ACCESS_KEY_ID'] ?? '' },
      'secret-key': { type: 'string', default: process.env['AWS_SECRET_ACCESS_KEY'] ?? '' },
      region: { type: 'string', default: 'us-east-1' },
      bucket: { type: 'string', default: 'bench' },
      workload: { type: 'string', default: 'put' },
      size: { type: 'string', default: '4KiB' },
      concurrency: { type: 'string', default: '16' },
      duration: { type: 'string' },
      count: { type: 'string' },
      'key-count': { type: 'string' },
      prefix: { type: 'string', default: 'load/' },
      payload: { type: 'string', default: 'signed' },
      'read-share': { type: 'string', default: '0.7' },
      'no-prepare': { type: 'boolean', default: false },
      insecure: { type: 'boolean', default: false },
    },
  });
  const workload = workloads.find((name) => name === values.workload);
  if (workload === undefined) throw new UsageError(`--workload takes ${workloads.join(', ')}`);
  if (values.payload !== 'signed' && values.payload !== 'unsigned') {
    throw new UsageError('--payload takes signed or unsigned');
  }
  const count = values.count === undefined ? undefined : numberOf('count', values.count);
  const seconds = values.duration ?? (count === undefined ? '10' : undefined);
  const sizeBytes = sizeOf(values.size);
  // By time, keys come round again; enough of them that it takes a while, within reason for memory.
  const keyCountDefault = count ?? Math.max(16, Math.min(50_000, Math.floor(2 ** 31 / sizeBytes)));
  return {
    endpoint: values.endpoint,
    credentials: {
      accessKeyId: values['access-key'],
      secretAccessKey: values['secret-key'],
      region: values.region,
    },
    bucket: values.bucket,
    workload,
    sizeBytes,
    concurrency: numberOf('concurrency', values.concurrency),
    durationMs: seconds === undefined ? undefined : numberOf('duration', seconds) * 1_000,
    count,
    keyCount:
      values['key-count'] === undefined
        ? keyCountDefault
        : numberOf('key-count', values['key-count']),
    prefix: values.prefix,
    payload: values.payload,
    readShare: numberOf('read-share', values['read-share']),
    prepare: !values['no-prepare'],
    isInsecure: values.insecure,
  };
}

try {
  const result = await runLoad(readOptions());
  console.error(describeLoad(result));
  console.log(JSON.stringify(result, null, 2));
} catch (error) {
  console.error(`bench/s3: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
