/**
 * CopyObject and UploadPartCopy: the server reads what it has and writes it again.
 *
 * Copies share no chunks: each object owns its own, so that nothing has to count references. The
 * source is pinned while it is read; if it is replaced meanwhile and a chunk is lost, the copy fails
 * and what it wrote is given up.
 */
import { createHash } from 'node:crypto';
import { S3Error } from '../errors.ts';
import { BODY_BYTES_MAX } from '../limits.ts';
import { createRunningChecksum } from '../protocol/checksum.ts';
import type { RunningChecksum } from '../protocol/checksum.ts';
import {
  checkCopySourceConditions,
  parseChecksumAlgorithm,
  parseCopySource,
  parseCopySourceConditions,
  parseCopySourceRange,
  parseMetadataDirective,
  parseObjectHeaders,
  parseWriteConditions,
  renderCopyObject,
  renderCopyPart,
} from '../protocol/index.ts';
import type {
  BodyRange,
  ChecksumAlgorithm,
  ObjectChecksum,
  ObjectRoute,
} from '../protocol/index.ts';
import { slicesOf } from '../store/blob-store.ts';
import type { FoundObject } from '../store/object-index.ts';
import type { Exchange } from './exchange.ts';
import { holdBytes, streamingBytes } from './gateway-context.ts';
import type { GatewayContext } from './gateway-context.ts';
import { guardOf, partNameOf, StreamedBody } from './put-object.ts';

/** What reading the source has told. */
interface CopySummary {
  readonly md5: string;
  readonly checksum: ObjectChecksum | undefined;
}

/** CopyObject. */
export async function copyObject(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const sourceName = parseCopySource(route.headers);
  const replaces = parseMetadataDirective(route.headers) === 'REPLACE';
  const newHeaders = replaces ? parseObjectHeaders(route.headers) : undefined;
  const guard = guardOf(parseWriteConditions(route.headers));
  const asked = parseChecksumAlgorithm(route.headers);
  const source = await context.store.objects.find(sourceName);
  const { entry } = source;
  checkCopySourceConditions(parseCopySourceConditions(route.headers), entry);
  const isSame = sourceName.bucket === route.bucket && sourceName.key === route.key;
  // The one storage class there is, named, counts as a change with S3: people rewrite objects so.
  const namesClass = route.headers.has('x-amz-storage-class');
  if (isSame && !replaces && asked === undefined && !namesClass) throw nothingToCopy();
  if (entry.sizeBytes > BODY_BYTES_MAX) throw sourceTooLarge();

  const range = { start: 0, end: entry.sizeBytes };
  const body = await openCopy(context, exchange, route, entry.sizeBytes, false);
  await body.run<CopySummary>(
    async (summary, writer) => {
      const object = {
        lastModifiedMs: context.clock.wallMs(),
        sizeBytes: entry.sizeBytes,
        etag: summary.md5,
        checksum: summary.checksum,
        headers: newHeaders ?? entry.headers,
      };
      const { objects } = context.store;
      if (writer === undefined) await objects.putInline(route, object, body.held, guard);
      else await objects.putChunked(route, object, writer, guard);
      exchange.sendXml(200, renderCopyObject(object));
    },
    () => readSource(context, source, range, asked ?? entry.checksum?.algorithm, body),
  );
}

/** UploadPartCopy. */
export async function uploadPartCopy(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const { name, partNumber } = partNameOf(route);
  const sourceName = parseCopySource(route.headers);
  const upload = await context.store.uploads.find(name);
  const source = await context.store.objects.find(sourceName);
  const { sizeBytes } = source.entry;
  checkCopySourceConditions(parseCopySourceConditions(route.headers), source.entry);
  const range = parseCopySourceRange(route.headers, sizeBytes) ?? { start: 0, end: sizeBytes };
  const copyBytes = range.end - range.start;
  if (copyBytes > BODY_BYTES_MAX) throw sourceTooLarge();

  const body = await openCopy(context, exchange, route, copyBytes, true);
  await body.run<CopySummary>(
    async (summary, writer) => {
      if (writer === undefined) throw new S3Error('InternalError');
      const { md5: etag, checksum } = summary;
      const part = { lastModifiedMs: context.clock.wallMs(), etag, checksum };
      await context.store.uploads.putPart(name, partNumber, part, writer);
      exchange.sendXml(200, renderCopyPart(part));
    },
    async () => {
      await body.begin();
      return readSource(context, source, range, upload.checksum?.algorithm, body);
    },
  );
}

async function openCopy(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
  sizeBytes: number,
  isPart: boolean,
): Promise<StreamedBody> {
  // Two chunks on their way out, and one that was read.
  const { bodyBytes, chunkBytes } = context.limits;
  const needBytes = streamingBytes(context, sizeBytes) + Math.min(sizeBytes, chunkBytes);
  const waiting = holdBytes(context.gates.upload, exchange, Math.min(needBytes, bodyBytes));
  if (waiting !== undefined) await waiting;
  // While gigabytes are copied nothing moves on the connection, which is no fault of the client's.
  // Node sets the limit again when the answer is out.
  exchange.request.socket.setTimeout(0);
  return new StreamedBody(context, route, sizeBytes, isPart);
}

/** Reads a range of the source into the body, hashing it. */
async function readSource(
  context: GatewayContext,
  source: FoundObject,
  range: BodyRange,
  algorithm: ChecksumAlgorithm | undefined,
  body: StreamedBody,
): Promise<CopySummary> {
  const md5 = createHash('md5');
  const running = algorithm === undefined ? undefined : createRunningChecksum(algorithm);
  const take = async (bytes: Uint8Array): Promise<void> => {
    md5.update(bytes);
    running?.update(bytes);
    await body.write(bytes);
  };
  const { data } = source.entry;
  if (data !== undefined) await take(data.subarray(range.start, range.end));
  else {
    const parts = await context.store.objects.partsOf(source);
    if (parts === undefined) throw sourceReplaced();
    const blobs = parts.map((part) => part.blob);
    for (const blob of blobs) context.store.blobs.pin(blob);
    try {
      for (const slice of slicesOf(blobs, range)) {
        const bytes = await context.store.blobs.read(source.shard, slice);
        if (bytes === undefined) {
          throw S3Error.of(
            'InternalError',
            'The source was replaced while it was copied. Try again.',
          );
        }
        await take(bytes);
      }
    } finally {
      for (const blob of blobs) context.store.blobs.unpin(blob);
    }
  }
  return { md5: md5.digest('hex'), checksum: checksumOf(algorithm, running) };
}

function checksumOf(
  algorithm: ChecksumAlgorithm | undefined,
  running: RunningChecksum | undefined,
): ObjectChecksum | undefined {
  if (algorithm === undefined || running === undefined) return undefined;
  return { algorithm, type: 'FULL_OBJECT', value: running.digest().toString('base64') };
}

function nothingToCopy(): S3Error {
  return S3Error.of(
    'InvalidRequest',
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  );
}

function sourceReplaced(): S3Error {
  return S3Error.of('InternalError', 'The source was replaced while it was copied. Try again.');
}

function sourceTooLarge(): S3Error {
  return S3Error.of(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${BODY_BYTES_MAX}`,
  );
}
