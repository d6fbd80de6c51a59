/**
 * Bytes that look random, repeat with their seed and cannot be compressed or deduplicated: the key
 * stream of AES in counter mode, which is as fast as copying.
 */
import { createCipheriv, createHash, type Cipheriv } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

const BLOCK_BYTES = 1024 * 1024;
const zeros = Buffer.alloc(BLOCK_BYTES);

function streamOf(seed: number | string): Cipheriv {
  const digest = createHash('sha256').update(String(seed)).digest();
  return createCipheriv('aes-128-ctr', digest.subarray(0, 16), digest.subarray(16, 32));
}

/** `sizeBytes` bytes, the same for the same seed. */
export function randomBytesOf(seed: number | string, sizeBytes: number): Buffer {
  return streamOf(seed).update(Buffer.alloc(sizeBytes));
}

/** The same bytes in blocks. */
function* randomBlocks(seed: number | string, sizeBytes: number): Generator<Buffer> {
  const stream = streamOf(seed);
  for (let left = sizeBytes; left > 0; left -= BLOCK_BYTES) {
    yield stream.update(left >= BLOCK_BYTES ? zeros : zeros.subarray(0, left));
  }
}

/** The same bytes as a stream without a known length. */
export function randomStream(seed: number | string, sizeBytes: number): Readable {
  return Readable.from(randomBlocks(seed, sizeBytes), { objectMode: false });
}

/** Writes them to a file. @returns their SHA-256 in hex. */
export async function writeRandomFile(
  path: string,
  seed: number | string,
  sizeBytes: number,
): Promise<string> {
  const hash = createHash('sha256');
  const file = createWriteStream(path);
  for (const block of randomBlocks(seed, sizeBytes)) {
    hash.update(block);
    if (!file.write(block)) await once(file, 'drain');
  }
  file.end();
  await finished(file);
  return hash.digest('hex');
}
