/**
 * CPU time of the S3 protocol alone: what parsing, proving and hashing a request costs before anything
 * is stored. Prints figures as JSON lines; passes no judgement.
 *
 * Run: node bench/s3-protocol.ts
 */
import { createHash, createHmac, hash } from 'node:crypto';
import {
  createBodyDecoder,
  decodeWholeBody,
  parseObjectHeaders,
  parseRequestHeaders,
  planBody,
  refuseUnsupportedHeaders,
  renderListObjectsV2,
  routeRequest,
  SignatureVerifier,
} from '../packages/s3/src/protocol/index.ts';
import { createRunningChecksum } from '../packages/s3/src/protocol/checksum.ts';
import { parseDelete } from '../packages/s3/src/protocol/xml-parse.ts';

const ACCESS_KEY = 'AKIAIOSFODNN7EXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const DATE = '20261105T081530Z';
const NOW_MS = Date.UTC(2026, 10, 5, 8, 15, 30);
const SCOPE = '20261105/us-east-1/s3/aws4_request';

const verifier = new SignatureVerifier({
  secretOf: (accessKeyId) => (accessKeyId === ACCESS_KEY ? SECRET : undefined),
});

function measure(name: string, count: number, run: () => void, bytesPerRun?: number): void {
  for (let index = 0; index < count / 4; index++) run();
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  for (let index = 0; index < count; index++) run();
  const elapsedMs = performance.now() - before;
  const cpu = process.cpuUsage(cpuBefore);
  const figures = {
    name,
    count,
    microseconds: round((elapsedMs * 1000) / count),
    cpuMicroseconds: round((cpu.user + cpu.system) / count),
    ...(bytesPerRun !== undefined && {
      megabytesPerSecond: Math.round((bytesPerRun * count) / elapsedMs / 1000),
    }),
  };
  console.log(JSON.stringify(figures));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** What an SDK sends: ten headers, five of them signed. */
function signedPut(
  path: string,
  body: Buffer,
  payloadHash: string,
  extra: string[] = [],
): string[] {
  const raw = [
    ...['Host', 'localhost:9000', 'User-Agent', 'bench', 'Accept-Encoding', 'identity'],
    ...['Content-Type', 'application/octet-stream', 'Content-Length', String(body.length)],
    ...['x-amz-content-sha256', payloadHash, 'x-amz-date', DATE],
    ...['amz-sdk-invocation-id', '2d2fca2a-0d7b-4f1c-8a8e-1a9cd4f1e2b3'],
    ...['amz-sdk-request', 'attempt=1', 'Connection', 'keep-alive', ...extra],
  ];
  const headers = new Map<string, string>();
  for (let index = 0; index < raw.length; index += 2) {
    headers.set((raw[index] as string).toLowerCase(), raw[index + 1] as string);
  }
  const signed = [...headers.keys()]
    .filter((name) => !['connection', 'user-agent', 'accept-encoding'].includes(name))
    .sort();
  const lines = signed.map((name) => `${name}:${headers.get(name) ?? ''}\n`).join('');
  const canonical = `PUT\n${path}\n\n${lines}\n${signed.join(';')}\n${payloadHash}`;
  const toSign = `AWS4-HMAC-SHA256\n${DATE}\n${SCOPE}\n${hash('sha256', canonical)}`;
  const signature = hmac(signingKey(), toSign).toString('hex');
  const credential = `Credential=${ACCESS_KEY}/${SCOPE}`;
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${signed.join(';')}, Signature=${signature}`;
  return [...raw, 'Authorization', authorization];
}

function signingKey(): Buffer {
  const day = hmac(hmac(`AWS4${SECRET}`, '20261105'), 'us-east-1');
  return hmac(hmac(day, 's3'), 'aws4_request');
}

function put(rawHeaders: string[], target: string, body: Buffer): void {
  const head = { method: 'PUT', target, headers: parseRequestHeaders(rawHeaders) };
  const route = routeRequest(head, []);
  const authentication = verifier.verify(head, route, NOW_MS);
  refuseUnsupportedHeaders(route.headers);
  parseObjectHeaders(route.headers);
  const plan = planBody(route, authentication, {
    bytesMax: 5 * 2 ** 30,
    lengthRequired: true,
    md5: true,
  });
  decodeWholeBody(plan, body);
}

const small = Buffer.alloc(4096, 7);
const target = '/bucket/photos/2026/november/IMG_0001.jpg';
const signed = signedPut(target, small, hash('sha256', small));
measure('signed PUT 4 KiB, whole protocol', 20_000, () => {
  put(signed, target, small);
});
const unsigned = signedPut(target, small, 'UNSIGNED-PAYLOAD');
measure('the same, UNSIGNED-PAYLOAD', 20_000, () => {
  put(unsigned, target, small);
});
const crc = createRunningChecksum('CRC32');
crc.update(small);
const withCrc = signedPut(target, small, hash('sha256', small), [
  'x-amz-checksum-crc32',
  crc.digest().toString('base64'),
  'x-amz-sdk-checksum-algorithm',
  'CRC32',
]);
measure('the same, signed, with CRC32', 20_000, () => {
  put(withCrc, target, small);
});
measure('of it: MD5 and SHA-256 of 4 KiB', 20_000, () => {
  hash('md5', small);
  hash('sha256', small);
});

/** A body of unsigned chunks of 64 KiB in network pieces of 64 KiB. */
const chunk = Buffer.alloc(65_536, 9);
const framed = Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]);
const large = Buffer.concat(Array.from({ length: 256 }, () => framed));
const streaming = signedPut(target, small, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', [
  'x-amz-decoded-content-length',
  String(256 * 65_536),
]);
const streamingHead = { method: 'PUT', target, headers: parseRequestHeaders(streaming) };
const streamingRoute = routeRequest(streamingHead, []);
const streamingPlan = planBody(
  streamingRoute,
  verifier.verify(streamingHead, streamingRoute, NOW_MS),
  { bytesMax: 5 * 2 ** 30, lengthRequired: true, md5: false },
);
const ignore = (): void => {
  // The payload goes nowhere.
};
measure(
  'unsigned chunks, 16 MiB, framing alone',
  100,
  () => {
    const decoder = createBodyDecoder(streamingPlan);
    for (let at = 0; at < large.length; at += 65_536) {
      decoder.push(large.subarray(at, at + 65_536), ignore);
    }
    decoder.push(Buffer.from('0\r\n\r\n'), ignore);
    decoder.finish();
  },
  256 * 65_536,
);
for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
  measure(
    `${algorithm}, 64 KiB at a time`,
    2_000,
    () => {
      createRunningChecksum(algorithm).update(chunk);
    },
    chunk.length,
  );
}
measure('MD5, 64 KiB at a time', 2_000, () => createHash('md5').update(chunk), chunk.length);

const objects = Array.from({ length: 1000 }, (_, index) => ({
  key: `photos/2026/november/IMG_${index}.jpg`,
  lastModifiedMs: NOW_MS,
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
  sizeBytes: 4096,
}));
measure('render a page of 1,000 keys', 200, () => {
  renderListObjectsV2({
    bucket: 'bucket',
    prefix: '',
    delimiter: '',
    rowsMax: 1000,
    encodingType: 'url',
    isTruncated: false,
    objects,
    commonPrefixes: [],
  });
});
const deletion = Buffer.from(
  `<Delete>${objects.map(({ key }) => `<Object><Key>${key}</Key></Object>`).join('')}</Delete>`,
);
measure('parse a Delete of 1,000 keys', 200, () => parseDelete(deletion));
