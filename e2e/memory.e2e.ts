/** A large upload and download take no more memory than small ones: bodies stream. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { afterAll, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { randomStream } from './harness/random-bytes.ts';
import { sign, signedExchange, type RequestShape } from './harness/raw-http.ts';
import { scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';

const MIB = 1024 * 1024;
/** What a garbage collector may have left lying about at the moment of the highest mark. */
const NOISE_BYTES = 100 * MIB;
const scratch = new Scratch('memory');
let server: DozoServer | undefined;

afterAll(async () => {
  await server?.stop();
  scratch.remove();
});

/** Sends a signed request and reads the whole answer. @returns status and length of the answer. */
async function transfer(
  to: DozoServer,
  shape: RequestShape,
  sizeBytes: number,
): Promise<{ status: number; bodyBytes: number }> {
  const { headers } = sign(to, { ...shape, payload: 'UNSIGNED-PAYLOAD' });
  const { method, path } = shape;
  const sent = request({
    ...{ host: to.host, port: to.port, method, path },
    headers: sizeBytes > 0 ? { ...headers, 'content-length': sizeBytes } : headers,
  });
  if (sizeBytes > 0) randomStream('memory', sizeBytes).pipe(sent);
  else sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  let bodyBytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length;
  });
  await once(answer, 'end');
  return { status: answer.statusCode ?? 0, bodyBytes };
}

/** The highest mark of memory of a fresh server that stores one object and gives it back. */
async function peakOf(name: string, sizeBytes: number): Promise<number> {
  const dataDirectory = scratch.directory(name);
  server = await DozoServer.start({
    dataDirectory,
    size: `${Math.ceil(sizeBytes / 2 ** 30) + 2}GiB`,
  });
  expect((await signedExchange(server, { method: 'PUT', path: '/memory' })).status).toBe(200);
  const path = '/memory/object';
  expect((await transfer(server, { method: 'PUT', path }, sizeBytes)).status).toBe(200);
  const back = await transfer(server, { method: 'GET', path }, 0);
  expect(back).toEqual({ status: 200, bodyBytes: sizeBytes });
  const peakBytes = server.peakResidentBytes();
  expect(await server.stop()).toBe(0);
  return peakBytes;
}

test(`an object of ${scale.largeUploadBytes / MIB} MiB takes no more memory than one of 50 MiB`, async () => {
  const small = await peakOf('small', 50 * MIB);
  const large = await peakOf('large', scale.largeUploadBytes);
  console.log(
    `memory: peak ${Math.round(small / MIB)} MiB with 50 MiB, ` +
      `${Math.round(large / MIB)} MiB with ${scale.largeUploadBytes / MIB} MiB`,
  );
  expect(large).toBeLessThan(small + NOISE_BYTES);
});
