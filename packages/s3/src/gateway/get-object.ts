/**
 * GetObject and HeadObject: whole objects, ranges, parts, conditions.
 *
 * The first chunk is read before the head is sent, so that damage and a lost race are still told in
 * S3's words. After that only the connection can tell: it is broken, and never ends as if the body
 * were complete. While a chunk is being sent the next one is read.
 */
import type { ServerResponse } from 'node:http';
import { hasCode } from '@dozo/base';
import { S3Error } from '../errors.ts';
import { READ_ATTEMPTS_MAX } from '../limits.ts';
import {
  checksumHeaders,
  contentRange,
  evaluateReadConditions,
  httpDate,
  parsePartNumber,
  parseRange,
  parseReadConditions,
  renderObjectHeaders,
  wantsChecksum,
} from '../protocol/index.ts';
import type { BodyRange, ObjectRoute } from '../protocol/index.ts';
import { slicesOf } from '../store/blob-store.ts';
import type { ChunkSlice } from '../store/blob-store.ts';
import type { ObjectEntry, ObjectPart } from '../store/entry-record.ts';
import { tooManyRaces } from '../store/object-index.ts';
import type { FoundObject } from '../store/object-index.ts';
import type { Exchange } from './exchange.ts';
import { ClientVanished } from './failure.ts';
import { downloadBytes, holdBytes } from './gateway-context.ts';
import type { GatewayContext } from './gateway-context.ts';

/** What of an object is to be sent. */
interface Selection {
  readonly range: BodyRange;
  /** The whole object: 200, else 206. */
  readonly isWhole: boolean;
}

/** GetObject. */
export async function getObject(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await context.store.objects.find(route);
    const { entry } = found;
    if (answerNotModified(exchange, route, entry)) return;
    const parts = await context.store.objects.partsOf(found);
    if (parts === undefined) {
      if (attempt === READ_ATTEMPTS_MAX) throw tooManyRaces();
      continue;
    }
    const selection = select(route, entry, parts);
    const { start, end } = selection.range;
    if (entry.data !== undefined || start === end) {
      sendHead(exchange, route, entry, selection);
      exchange.response.end(entry.data?.subarray(start, end));
      return;
    }
    const outcome = await sendChunks(context, exchange, route, { ...found, parts }, selection);
    if (outcome === 'sent') return;
    // Replaced and collected between our read of the entry and that of its first chunk?
    if (attempt === READ_ATTEMPTS_MAX || !(await wasReplaced(context, route, found))) {
      throw S3Error.of('InternalError', 'A part of this object is missing on the server.');
    }
  }
}

/** HeadObject. */
export async function headObject(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  for (let attempt = 1; attempt <= READ_ATTEMPTS_MAX; attempt += 1) {
    const found = await context.store.objects.find(route);
    if (answerNotModified(exchange, route, found.entry)) return;
    const needsParts = route.query.has('partNumber');
    const parts = needsParts ? await context.store.objects.partsOf(found) : [];
    if (parts === undefined) continue;
    sendHead(exchange, route, found.entry, select(route, found.entry, parts));
    exchange.response.end();
    return;
  }
  throw tooManyRaces();
}

function answerNotModified(exchange: Exchange, route: ObjectRoute, entry: ObjectEntry): boolean {
  const verdict = evaluateReadConditions(parseReadConditions(route.headers), entry);
  if (verdict === 'proceed') return false;
  exchange.sendEmpty(304, validatorsOf(entry));
  return true;
}

function select(route: ObjectRoute, entry: ObjectEntry, parts: readonly ObjectPart[]): Selection {
  const partNumber = parsePartNumber(route.query);
  if (partNumber === undefined) {
    const range = parseRange(route.headers, entry);
    return range === undefined ? wholeOf(entry) : { range, isWhole: false };
  }
  if (route.headers.has('range')) {
    throw S3Error.of('InvalidRequest', 'Cannot specify both Range header and partNumber.');
  }
  return selectPart(entry, parts, partNumber);
}

function wholeOf(entry: ObjectEntry): Selection {
  return { range: { start: 0, end: entry.sizeBytes }, isWhole: true };
}

/** Parts are counted as they lie in the object: gaps in the numbers they came with are gone. */
function selectPart(
  entry: ObjectEntry,
  parts: readonly ObjectPart[],
  partNumber: number,
): Selection {
  if (!isMultipart(entry) && partNumber === 1) return wholeOf(entry);
  let start = 0;
  for (const [index, part] of parts.entries()) {
    const end = start + part.blob.sizeBytes;
    if (index + 1 === partNumber && isMultipart(entry)) {
      return { range: { start, end }, isWhole: false };
    }
    start = end;
  }
  throw new S3Error('InvalidPartNumber');
}

function isMultipart(entry: ObjectEntry): boolean {
  return entry.etag.length > 32;
}

function validatorsOf(entry: ObjectEntry): string[] {
  return ['ETag', `"${entry.etag}"`, 'Last-Modified', httpDate(entry.lastModifiedMs)];
}

function sendHead(
  exchange: Exchange,
  route: ObjectRoute,
  entry: ObjectEntry,
  selection: Selection,
): void {
  const { range, isWhole } = selection;
  const headers = validatorsOf(entry);
  headers.push('Accept-Ranges', 'bytes');
  const kept = renderObjectHeaders(entry.headers, route.query);
  for (const name in kept) headers.push(name, kept[name] as string);
  // A part may be empty, and HTTP has no way to write a range of nothing.
  const hasRange = !isWhole && range.start < range.end;
  if (hasRange) headers.push('Content-Range', contentRange(range, entry.sizeBytes));
  if (isMultipart(entry) && route.query.has('partNumber')) {
    headers.push('x-amz-mp-parts-count', entry.etag.slice(33));
  }
  if (isWhole && entry.checksum !== undefined && wantsChecksum(route.headers)) {
    headers.push(...Object.entries(checksumHeaders(entry.checksum)).flat());
  }
  // Last: behind a length Node reads the bytes of a Content-Disposition as UTF-8, and would send
  // other bytes than were kept, or refuse to send any.
  headers.push('Content-Length', String(range.end - range.start));
  exchange.sendHead(isWhole ? 200 : 206, headers);
}

/** Sends chunks. @returns `lost` where the first one is gone and nothing was sent yet. */
async function sendChunks(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
  found: FoundObject & { readonly parts: readonly ObjectPart[] },
  selection: Selection,
): Promise<'sent' | 'lost'> {
  const { start, end } = selection.range;
  const blobs = found.parts.map((part) => part.blob);
  const needBytes = downloadBytes(context, end - start) - exchange.heldBytes;
  const { download } = context.gates;
  const waiting = needBytes > 0 ? holdBytes(download, exchange, needBytes) : undefined;
  if (waiting !== undefined) await waiting;
  for (const blob of blobs) context.store.blobs.pin(blob);
  try {
    const slices = slicesOf(blobs, { start, end }, context.limits.readSliceBytes);
    const first = await context.store.blobs.read(found.shard, nextOf(slices) as ChunkSlice);
    if (first === undefined) return 'lost';
    sendHead(exchange, route, found.entry, selection);
    await sendSlices(context, exchange, found, slices, first);
    return 'sent';
  } finally {
    for (const blob of blobs) context.store.blobs.unpin(blob);
  }
}

async function sendSlices(
  context: GatewayContext,
  exchange: Exchange,
  found: FoundObject,
  slices: Generator<ChunkSlice, void>,
  first: Uint8Array,
): Promise<void> {
  const { response } = exchange;
  let bytes = first;
  for (;;) {
    const slice = nextOf(slices);
    const next = slice === undefined ? undefined : context.store.blobs.read(found.shard, slice);
    // Awaited below; until then a failure must not count as unhandled.
    next?.catch(() => undefined);
    if (response.destroyed) throw new ClientVanished();
    if (!response.write(bytes)) await drained(response);
    if (next === undefined) break;
    const read = await next;
    if (read === undefined) {
      throw S3Error.of('InternalError', 'A chunk of this object was lost while it was being read.');
    }
    bytes = read;
  }
  response.end();
}

function nextOf(slices: Generator<ChunkSlice, void>): ChunkSlice | undefined {
  const { value } = slices.next();
  return value ?? undefined;
}

/** Resolves when the client has taken what was written. @throws ClientVanished */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      response.off('close', onClose);
      resolve();
    };
    const onClose = (): void => {
      response.off('drain', onDrain);
      reject(new ClientVanished());
    };
    response.once('drain', onDrain);
    response.once('close', onClose);
  });
}

async function wasReplaced(
  context: GatewayContext,
  route: ObjectRoute,
  found: FoundObject,
): Promise<boolean> {
  try {
    return (await context.store.objects.find(route)).version !== found.version;
  } catch (error) {
    if (hasCode(error, 'NoSuchKey', 'NoSuchBucket')) return true;
    throw error;
  }
}
