/**
 * PutObject and UploadPart: a body becomes an object, or a part of one.
 *
 * The short way is for a body that fits into its entry: it is read whole, hashed, and put with one
 * transaction. Everything longer, and whatever does not say how long it is, streams into chunks. A
 * body counts only when its end has been checked; until then nothing that a reader could find has
 * changed.
 */
import { hasCode } from '@dozo/base';
import { S3Error } from '../errors.ts';
import { BODY_BYTES_MAX, SMALL_FRAMING_BYTES_MAX } from '../limits.ts';
import {
  checksumHeaders,
  checkWriteConditions,
  createBodyDecoder,
  decodeWholeBody,
  parseObjectHeaders,
  parsePartNumber,
  parseWriteConditions,
  planBody,
} from '../protocol/index.ts';
import type {
  Authentication,
  BodyPlan,
  BodySummary,
  Checksum,
  Conditions,
  ObjectChecksum,
  ObjectHeaders,
  ObjectRoute,
} from '../protocol/index.ts';
import { isOutcomeUnknown } from '../store/blob-store.ts';
import type { BlobWriter } from '../store/blob-writer.ts';
import type { ObjectDescription } from '../store/entry-record.ts';
import type { Guard } from '../store/object-index.ts';
import type { Exchange } from './exchange.ts';
import { holdBytes, streamingBytes } from './gateway-context.ts';
import type { GatewayContext } from './gateway-context.ts';
import { pumpBody, readWhole } from './request-body.ts';

/** PutObject. */
export function putObject(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const plan = planBody(route, authenticationOf(exchange), {
    bytesMax: BODY_BYTES_MAX,
    lengthRequired: true,
    md5: true,
  });
  const headers = parseObjectHeaders(route.headers);
  const guard = guardOf(parseWriteConditions(route.headers));
  const { inlineBytesMax } = context.limits;
  const sentBytes = Number(route.headers.get('content-length') ?? Infinity);
  const isSmall = plan.sizeBytes !== undefined && plan.sizeBytes <= inlineBytesMax;
  return isSmall && sentBytes <= inlineBytesMax + SMALL_FRAMING_BYTES_MAX
    ? putSmall(context, exchange, route, { plan, headers, guard, sentBytes })
    : putStream(context, exchange, route, { plan, headers, guard });
}

interface PutOptions {
  readonly plan: BodyPlan;
  readonly headers: ObjectHeaders;
  readonly guard: Guard | undefined;
}

async function putSmall(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
  options: PutOptions & { readonly sentBytes: number },
): Promise<void> {
  const { plan, headers, guard, sentBytes } = options;
  const waiting = holdBytes(context.gates.small, exchange, sentBytes);
  if (waiting !== undefined) await waiting;
  exchange.continue();
  const body = await readWhole(exchange.request, sentBytes);
  const { payload, summary } = decodeWholeBody(plan, body);
  const object = describe(context, summary, headers);
  await context.store.objects.putInline(route, object, [payload], guard);
  answerPut(exchange, object.etag, object.checksum);
}

async function putStream(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
  options: PutOptions,
): Promise<void> {
  const { plan, headers, guard } = options;
  const waiting = holdBytes(
    context.gates.upload,
    exchange,
    streamingBytes(context, plan.sizeBytes),
  );
  if (waiting !== undefined) await waiting;
  // A refusal that can be known now is worth more than one after five gigabytes.
  if (guard !== undefined) await checkGuardEarly(context, route, guard);
  const body = new StreamedBody(context, route, plan.sizeBytes);
  await body.receive(exchange, plan, async (summary, writer) => {
    const object = describe(context, summary, headers);
    if (writer === undefined) {
      await context.store.objects.putInline(route, object, body.held, guard);
    } else {
      await context.store.objects.putChunked(route, object, writer, guard);
    }
    answerPut(exchange, object.etag, object.checksum);
  });
}

/** UploadPart. */
export async function uploadPart(
  context: GatewayContext,
  exchange: Exchange,
  route: ObjectRoute,
): Promise<void> {
  const { name, partNumber } = partNameOf(route);
  const upload = await context.store.uploads.find(name);
  const plan = planBody(route, authenticationOf(exchange), {
    bytesMax: BODY_BYTES_MAX,
    lengthRequired: true,
    md5: true,
    checksumAlgorithm: upload.checksum?.algorithm,
  });
  const waiting = holdBytes(
    context.gates.upload,
    exchange,
    streamingBytes(context, plan.sizeBytes),
  );
  if (waiting !== undefined) await waiting;
  const body = new StreamedBody(context, route, plan.sizeBytes, true);
  await body.receive(exchange, plan, async (summary, writer) => {
    if (writer === undefined) throw new S3Error('InternalError');
    const checksum = ofWhole(summary.checksum);
    const lastModifiedMs = context.clock.wallMs();
    const part = { lastModifiedMs, etag: summary.md5, checksum };
    await context.store.uploads.putPart(name, partNumber, part, writer);
    answerPut(exchange, summary.md5, checksum);
  });
}

/** The upload and part that a request names. @throws S3Error `InvalidArgument` */
export function partNameOf(route: ObjectRoute): {
  readonly name: { readonly bucket: string; readonly key: string; readonly uploadId: string };
  readonly partNumber: number;
} {
  const partNumber = parsePartNumber(route.query);
  const { bucket, key } = route;
  if (partNumber === undefined) {
    throw S3Error.of('InvalidArgument', 'A part is put with partNumber and uploadId.');
  }
  return { name: { bucket, key, uploadId: route.query.get('uploadId') ?? '' }, partNumber };
}

/** What judges the object that is there; undefined where nothing was asked. */
export function guardOf(conditions: Conditions): Guard | undefined {
  if (conditions.ifMatch === undefined && conditions.ifNoneMatch === undefined) return undefined;
  return (existing) => checkWriteConditions(conditions, existing);
}

/** Who the request is from; known before any operation runs. */
export function authenticationOf(exchange: Exchange): Authentication {
  if (exchange.authentication === undefined) throw new S3Error('AccessDenied');
  return exchange.authentication;
}

/** A body that goes into chunks as soon as it is longer than an entry may be. */
export class StreamedBody {
  readonly #context: GatewayContext;
  readonly #route: ObjectRoute;
  readonly #expectedBytes: number | undefined;
  readonly #inlineBytesMax: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #writer: BlobWriter | undefined;

  /** @param alwaysChunked a part is in chunks however short it is. */
  constructor(
    context: GatewayContext,
    route: ObjectRoute,
    expectedBytes: number | undefined,
    alwaysChunked = false,
  ) {
    this.#context = context;
    this.#route = route;
    this.#expectedBytes = expectedBytes;
    const isLong = expectedBytes !== undefined && expectedBytes > context.limits.inlineBytesMax;
    this.#inlineBytesMax = alwaysChunked || isLong ? -1 : context.limits.inlineBytesMax;
  }

  /** The body, if it was short enough to be held. */
  get held(): readonly Uint8Array[] {
    return this.#held;
  }

  /** Takes payload. */
  readonly write = (payload: Uint8Array): Promise<void> | undefined => {
    if (this.#writer !== undefined) return this.#writer.write(payload);
    this.#held.push(payload);
    this.#heldBytes += payload.length;
    return this.#heldBytes > this.#inlineBytesMax ? this.#startWriting() : undefined;
  };

  /** Reads a request's body; then `commit`, whose failure gives up what was written. */
  async receive(
    exchange: Exchange,
    plan: BodyPlan,
    commit: (summary: BodySummary, writer: BlobWriter | undefined) => Promise<void>,
  ): Promise<void> {
    await this.run(commit, async () => {
      await this.begin();
      exchange.continue();
      return pumpBody(exchange.request, createBodyDecoder(plan), this.write);
    });
  }

  /** Begins to write now what will be in chunks anyway. */
  async begin(): Promise<void> {
    if (this.#inlineBytesMax < 0) await this.#startWriting();
  }

  /** Lets `fill` write the body, then commits it. */
  async run<Summary>(
    commit: (summary: Summary, writer: BlobWriter | undefined) => Promise<void>,
    fill: () => Promise<Summary>,
  ): Promise<void> {
    let isCommitting = false;
    try {
      const summary = await fill();
      await this.#writer?.finish();
      isCommitting = true;
      await commit(summary, this.#writer);
    } catch (error) {
      // Where the commit may have been applied, the chunks may be somebody's: only the collector,
      // which asks the intent, can tell.
      if (!isCommitting || isRefusal(error)) await this.#writer?.abandon();
      throw error;
    }
  }

  async #startWriting(): Promise<void> {
    this.#writer ??= await this.#context.store.openBlob(this.#route, this.#expectedBytes);
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const piece of held) await this.#writer.write(piece);
  }
}

/** Whether nothing was applied. */
function isRefusal(error: unknown): boolean {
  return error instanceof S3Error || !isOutcomeUnknown(error);
}

/** Refuses early what the commit would refuse at the end, if nothing changes until then. */
async function checkGuardEarly(
  context: GatewayContext,
  route: ObjectRoute,
  guard: Guard,
): Promise<void> {
  try {
    guard((await context.store.objects.find(route)).entry);
  } catch (error) {
    if (!hasCode(error, 'NoSuchKey')) throw error;
    guard(undefined);
  }
}

function describe(
  context: GatewayContext,
  summary: BodySummary,
  headers: ObjectHeaders,
): ObjectDescription {
  return {
    lastModifiedMs: context.clock.wallMs(),
    sizeBytes: summary.sizeBytes,
    etag: summary.md5,
    checksum: ofWhole(summary.checksum),
    headers,
  };
}

function ofWhole(checksum: Checksum | undefined): ObjectChecksum | undefined {
  if (checksum === undefined) return undefined;
  return { algorithm: checksum.algorithm, type: 'FULL_OBJECT', value: checksum.value };
}

function answerPut(exchange: Exchange, etag: string, checksum: ObjectChecksum | undefined): void {
  const headers = ['ETag', `"${etag}"`];
  if (checksum !== undefined) headers.push(...Object.entries(checksumHeaders(checksum)).flat());
  exchange.sendEmpty(200, headers);
}
