/** HTTPS with a certificate of our own, and buckets as names in front of a domain. */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CURL } from './harness/client-environment.ts';
import { DozoServer } from './harness/dozo-server.ts';
import { randomBytesOf } from './harness/random-bytes.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';
import { sdkClient } from './harness/sdk-client.ts';

const domain = 'dozo.test';
const Bucket = 'over-tls';
const scratch = new Scratch('tls');
const certificate = scratch.join('certificate.pem');
let server: DozoServer;
let client: S3Client;

beforeAll(async () => {
  const key = scratch.join('key.pem');
  await runCommand('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', '-subj', `/CN=${domain}`, '-keyout', key, '-out', certificate],
    ...['-addext', `subjectAltName=DNS:${domain},DNS:*.${domain},IP:127.0.0.1`],
  ]);
  server = await DozoServer.start({
    ...{ dataDirectory: scratch.directory('data'), size: '1GiB' },
    moreArguments: ['--tls-cert', certificate, '--tls-key', key, '--domain', domain],
  });
  // No name server knows the domain: the agent does.
  const httpsAgent = new Agent({
    ca: readFileSync(certificate),
    lookup: (_hostname, options, callback) => {
      if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
      else callback(null, '127.0.0.1', 4);
    },
  });
  client = sdkClient(server, {
    endpoint: `https://${domain}:${server.port}`,
    forcePathStyle: false,
    requestHandler: { httpsAgent },
  });
  await client.send(new CreateBucketCommand({ Bucket }));
});

afterAll(async () => {
  client.destroy();
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test('objects go through TLS to a bucket that is named by the host', async () => {
  const Body = randomBytesOf('tls', 9 * 1024 * 1024);
  await client.send(new PutObjectCommand({ Bucket, Key: 'a/b c', Body }));
  const back = await client.send(new GetObjectCommand({ Bucket, Key: 'a/b c' }));
  expect(Buffer.from((await back.Body?.transformToByteArray()) ?? []).equals(Body)).toBe(true);
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
  expect(Contents?.map((entry) => entry.Key)).toEqual(['a/b c']);
});

test('curl opens a presigned URL of such a bucket, and trusts nobody without the certificate', async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'signed', Body: 'signed' }));
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'signed' }));
  expect(new URL(url).hostname).toBe(`${Bucket}.${domain}`);
  const where = ['--resolve', `${Bucket}.${domain}:${server.port}:127.0.0.1`];
  expect(await runCommand(CURL, ['-sSf', '--cacert', certificate, ...where, url])).toBe('signed');
  expect((await tryCommand(CURL, ['-sSf', ...where, url])).stdout).toBe('');
});

test('plain HTTP on the TLS port is cut off', async () => {
  const plain = await tryCommand(CURL, ['-sS', `http://127.0.0.1:${server.port}/`]);
  expect(plain.status).not.toBe(0);
});
