import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway } from './gateway-harness.ts';
import type { Harness } from './gateway-harness.ts';
import { elementsOf } from './s3-client.ts';

let harness: Harness;

beforeAll(async () => {
  harness = await startGateway();
  await harness.client.put('/photos', '');
});

afterAll(async () => {
  await harness.stop();
});

/** Bytes that differ everywhere. */
function bytesOf(sizeBytes: number): Buffer {
  return Buffer.from(
    Array.from({ length: sizeBytes }, (_, index) => (index * 7 + (index >> 8)) & 255),
  );
}

function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

describe('objects over HTTP', () => {
  it.each([0, 1, 64, 65, 100, 101, 1000])('gives back the %i bytes that were put', async (size) => {
    const body = bytesOf(size);
    const put = await harness.client.put(`/photos/size-${String(size)}`, body);
    expect(put.status, put.text).toBe(200);
    expect(put.headers['etag']).toBe(`"${md5Of(body)}"`);
    const got = await harness.client.get(`/photos/size-${String(size)}`);
    expect(got.status).toBe(200);
    expect(got.body.equals(body)).toBe(true);
    expect(got.headers['etag']).toBe(put.headers['etag']);
    expect(got.headers['content-length']).toBe(String(size));
    const head = await harness.client.head(`/photos/size-${String(size)}`);
    expect(head.headers['content-length']).toBe(String(size));
    expect(head.body).toHaveLength(0);
  });

  it('lists what was put, in order', async () => {
    const listed = await harness.client.get('/photos', {}, 'list-type=2');
    expect(listed.status).toBe(200);
    const keys = elementsOf(listed.text, 'Key');
    expect(keys).toEqual([...keys].sort());
    expect(keys).toContain('size-1000');
  });

  it('deletes', async () => {
    await harness.client.put('/photos/gone', 'x');
    expect((await harness.client.delete('/photos/gone')).status).toBe(204);
    const got = await harness.client.get('/photos/gone');
    expect(got.status).toBe(404);
    expect(got.code).toBe('NoSuchKey');
  });
});
