/**
 * What an S3 server of ours is measured against: a bare `node:http` server that does the least that S3
 * demands of it. It reads the body, hashes it with MD5 and SHA-256, and answers with the ETag.
 *
 * With `--store FILE` it also writes each body to a file and flushes it before it answers, and with
 * GET it reads the file again: what hashing and writing alone allow for large objects. It knows no
 * signatures, no keys and no index; a GET gives as many bytes as the last PUT brought.
 */
import { createHash, hash } from 'node:crypto';
import { closeSync, fdatasync, openSync, read, writev } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs, promisify } from 'node:util';

const FILE_BYTES = 1024 * 1024 * 1024;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Below it the hashes are taken in one call when the whole body is there. */
const SMALL_BYTES = 64 * 1024;

const { values } = parseArgs({ options: { store: { type: 'string' } } });
const file = values.store === undefined ? undefined : openSync(values.store, 'w+');
const writeAt = promisify(writev);
const readAt = promisify(read);
const flush = promisify(fdatasync);

let nextOffset = 0;
let lastBytes = Buffer.alloc(0);
let last = { offset: 0, sizeBytes: 0 };

/** Room for a body; the file is a ring, so that a long run does not fill the disk. */
function reserve(sizeBytes: number): number {
  if (nextOffset + sizeBytes > FILE_BYTES) nextOffset = 0;
  const offset = nextOffset;
  nextOffset += sizeBytes;
  return offset;
}

async function store(chunks: readonly Buffer[], offset: number): Promise<void> {
  if (file !== undefined && chunks.length > 0) await writeAt(file, chunks, offset);
}

async function put(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  let etag: string;
  if (declaredBytes <= SMALL_BYTES) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    lastBytes = Buffer.concat(chunks);
    hash('sha256', lastBytes, 'hex');
    etag = hash('md5', lastBytes, 'hex');
  } else etag = await putLarge(request, declaredBytes);
  response.writeHead(200, { ETag: `"${etag}"`, 'Content-Length': 0 });
  response.end();
}

async function putLarge(request: IncomingMessage, declaredBytes: number): Promise<string> {
  const md5 = createHash('md5');
  const sha256 = createHash('sha256');
  const offset = reserve(declaredBytes);
  const written: Promise<void>[] = [];
  let gathered: Buffer[] = [];
  let gatheredBytes = 0;
  let position = offset;
  const writeGathered = (): void => {
    written.push(store(gathered, position));
    position += gatheredBytes;
    gathered = [];
    gatheredBytes = 0;
  };
  for await (const chunk of request as AsyncIterable<Buffer>) {
    md5.update(chunk);
    sha256.update(chunk);
    gathered.push(chunk);
    gatheredBytes += chunk.length;
    if (gatheredBytes >= CHUNK_BYTES) writeGathered();
  }
  writeGathered();
  await Promise.all(written);
  if (file !== undefined) await flush(file);
  sha256.digest();
  last = { offset, sizeBytes: declaredBytes };
  lastBytes = Buffer.alloc(0);
  return md5.digest('hex');
}

async function get(response: ServerResponse): Promise<void> {
  if (file === undefined || lastBytes.length > 0) {
    response.writeHead(200, { 'Content-Length': lastBytes.length });
    response.end(lastBytes);
    return;
  }
  const { offset, sizeBytes } = last;
  response.writeHead(200, { 'Content-Length': sizeBytes });
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes - at));
    await readAt(file, buffer, 0, buffer.length, offset + at);
    if (!response.write(buffer)) {
      await new Promise((resolve) => response.once('drain', resolve));
    }
  }
  response.end();
}

const server = createServer((request, response) => {
  const answer = request.method === 'PUT' ? put(request, response) : get(response);
  answer.catch((error: unknown) => {
    response.destroy(error instanceof Error ? error : undefined);
  });
});

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ endpoint: `http://127.0.0.1:${port}`, pid: process.pid }));
});

process.on('SIGTERM', () => {
  if (file !== undefined) closeSync(file);
  process.exit(0);
});
