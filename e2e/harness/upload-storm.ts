/**
 * A storm of writes on one bucket, and the inspection after it: what a crash must not change.
 *
 * Writers put small objects, large ones and multipart uploads under new keys and, in a race with each
 * other, under a few shared ones; they delete and copy too. Each value is made from its number, so
 * that the inspection can tell every byte of it.
 */
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { randomBytesOf, randomStream } from './random-bytes.ts';
import type { SeededDraw } from './seeded-draw.ts';
import { WriteHistory } from './write-history.ts';

const MIB = 1024 * 1024;
const SHARED_KEY_COUNT = 24;
const WRITER_COUNT = 12;

/** A value: its number seeds its bytes. */
interface Value {
  readonly number: number;
  readonly sizeBytes: number;
}

export interface StormOptions {
  readonly bucket: string;
  readonly seed: number;
  readonly draw: SeededDraw;
}

export class UploadStorm {
  readonly #bucket: string;
  readonly #seed: number;
  readonly #draw: SeededDraw;
  readonly #history = new WriteHistory<Value>();
  #valueCount = 0;
  #isOver = false;
  acknowledgedCount = 0;
  unansweredCount = 0;

  constructor({ bucket, seed, draw }: StormOptions) {
    this.#bucket = bucket;
    this.#seed = seed;
    this.#draw = draw;
  }

  /** Writes until {@link end} is called or the server is gone. */
  async rage(client: S3Client): Promise<void> {
    this.#isOver = false;
    await Promise.all(Array.from({ length: WRITER_COUNT }, () => this.#writeOn(client)));
  }

  end(): void {
    this.#isOver = true;
  }

  /** Whether it was ended, or the server is gone. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Compares what is there with what may be there: of the keys written since the last inspection, or
   * of all.
   *
   * @returns what is wrong, in words.
   */
  async inspect(client: S3Client, which: 'touched' | 'all'): Promise<string[]> {
    const wrong: string[] = [];
    const listed = new Map<string, { etag: string; sizeBytes: number }>();
    for await (const page of paginateListObjectsV2({ client }, { Bucket: this.#bucket })) {
      for (const { Key = '', ETag = '', Size = -1 } of page.Contents ?? []) {
        if (listed.has(Key)) wrong.push(`${Key} is listed twice`);
        listed.set(Key, { etag: ETag, sizeBytes: Size });
      }
    }
    const known = new Set(this.#history.keys());
    for (const key of listed.keys()) {
      if (!known.has(key)) wrong.push(`${key} is listed, and nobody wrote it`);
    }
    const left = [...known].filter((key) => which === 'all' || this.#history.isTouched(key));
    const inspectSome = async (): Promise<void> => {
      for (let key = left.pop(); key !== undefined; key = left.pop()) {
        const problem = await this.#inspectKey(client, key, listed.get(key));
        if (problem !== undefined) wrong.push(problem);
      }
    };
    await Promise.all(Array.from({ length: WRITER_COUNT }, inspectSome));
    return wrong;
  }

  async #writeOn(client: S3Client): Promise<void> {
    while (!this.#isOver) {
      const key = this.#drawKey();
      const chance = this.#draw.fraction();
      if (chance < 0.76) await this.#put(client, key, this.#draw.integer(0, 64 * 1024));
      else if (chance < 0.82) await this.#put(client, key, this.#draw.integer(MIB, 10 * MIB));
      else if (chance < 0.86) await this.#putInParts(client, key);
      else if (chance < 0.94) await this.#delete(client, key);
      else await this.#copy(client, key);
    }
  }

  #drawKey(): string {
    if (this.#draw.fraction() < 0.5) return `shared/${this.#draw.integer(0, SHARED_KEY_COUNT)}`;
    return `new/${this.#draw.integer(0, 1_000)}/${this.#valueCount}`;
  }

  #newValue(sizeBytes: number): Value {
    this.#valueCount += 1;
    return { number: this.#valueCount, sizeBytes };
  }

  #bytesOf(value: Value): Buffer {
    return randomBytesOf(this.#seedOf(value), value.sizeBytes);
  }

  #seedOf(value: Value): string {
    return `${this.#seed}/${value.number}`;
  }

  /** Sends one write, and notes what became of it. @returns whether it was acknowledged. */
  async #attempt(
    key: string,
    value: Value | undefined,
    send: () => Promise<unknown>,
  ): Promise<boolean> {
    const write = this.#history.sent(key, value);
    try {
      await send();
      this.#history.acknowledged(write);
      this.acknowledgedCount += 1;
      return true;
    } catch (error) {
      // A refusal in words is no answer about what happened; neither is a broken connection.
      this.unansweredCount += 1;
      if (!(error instanceof S3ServiceException)) this.#isOver = true;
      return false;
    }
  }

  #put(client: S3Client, key: string, sizeBytes: number): Promise<boolean> {
    const value = this.#newValue(sizeBytes);
    const streamed = sizeBytes > MIB && value.number % 2 === 0;
    const Body = streamed ? randomStream(this.#seedOf(value), sizeBytes) : this.#bytesOf(value);
    const put = new PutObjectCommand({
      ...{ Bucket: this.#bucket, Key: key, Body, ContentLength: sizeBytes },
      Metadata: { value: String(value.number) },
    });
    return this.#attempt(key, value, () => client.send(put));
  }

  #putInParts(client: S3Client, key: string): Promise<boolean> {
    const value = this.#newValue(5 * MIB + this.#draw.integer(1, 7 * MIB));
    const target = { Bucket: this.#bucket, Key: key };
    return this.#attempt(key, value, async () => {
      const { UploadId } = await client.send(
        new CreateMultipartUploadCommand({ ...target, Metadata: { value: String(value.number) } }),
      );
      const bytes = this.#bytesOf(value);
      const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
      for (let from = 0; from < bytes.length; from += 5 * MIB) {
        const PartNumber = Parts.length + 1;
        const Body = bytes.subarray(from, from + 5 * MIB);
        const part = new UploadPartCommand({ ...target, UploadId, PartNumber, Body });
        Parts.push({ PartNumber, ETag: (await client.send(part)).ETag });
      }
      await client.send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }),
      );
    });
  }

  #delete(client: S3Client, key: string): Promise<boolean> {
    const gone = new DeleteObjectCommand({ Bucket: this.#bucket, Key: key });
    return this.#attempt(key, undefined, () => client.send(gone));
  }

  /** Copies an object that nobody writes any more, so that it is known what is being copied. */
  async #copy(client: S3Client, key: string): Promise<void> {
    const value = this.#newValue(this.#draw.integer(1, 5 * MIB));
    const source = `source/${value.number}`;
    const target = { Bucket: this.#bucket, Key: source };
    const stored = await this.#attempt(source, value, async () => {
      const Metadata = { value: String(value.number) };
      await client.send(new PutObjectCommand({ ...target, Metadata, Body: this.#bytesOf(value) }));
    });
    if (!stored || this.#isOver) return;
    const copy = new CopyObjectCommand({
      ...{ Bucket: this.#bucket, Key: key, CopySource: `${this.#bucket}/${source}` },
    });
    await this.#attempt(key, value, () => client.send(copy));
  }

  async #inspectKey(
    client: S3Client,
    key: string,
    listed: { etag: string; sizeBytes: number } | undefined,
  ): Promise<string | undefined> {
    const target = { Bucket: this.#bucket, Key: key };
    const possible = this.#history.possible(key);
    const wanted = possible.map((value) => value?.number ?? 'nothing').join(' or ');
    const head = await presentOrNot(client.send(new HeadObjectCommand(target)));
    if (head === undefined) {
      if (listed !== undefined) return `${key} is listed, and HEAD does not find it`;
      if (!possible.includes(undefined)) return `${key} is gone; it must hold value ${wanted}`;
      this.#history.settled(key, undefined);
      return undefined;
    }
    if (listed === undefined) return `${key} is not listed, and HEAD finds it`;
    if (listed.etag !== head.ETag || listed.sizeBytes !== head.ContentLength) {
      return `${key} is listed with other ETag or size than HEAD says`;
    }
    const found = head.Metadata?.['value'] ?? '(none)';
    const value = possible.find((candidate) => String(candidate?.number) === found);
    if (value === undefined) return `${key} holds value ${found}; it must hold ${wanted}`;
    const answer = await client.send(new GetObjectCommand(target));
    const body = Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
    if (!body.equals(this.#bytesOf(value))) return `${key} has other bytes than value ${found}`;
    this.#history.settled(key, value);
    return undefined;
  }
}

async function presentOrNot<Answer>(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) {
      return undefined;
    }
    throw error;
  }
}
