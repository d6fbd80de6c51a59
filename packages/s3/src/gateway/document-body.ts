/**
 * Reads the document that some operations come with.
 */
import type { Route } from '../protocol/index.ts';
import { decodeWholeBody, planBody } from '../protocol/index.ts';
import { S3Error } from '../errors.ts';
import { SMALL_FRAMING_BYTES_MAX } from '../limits.ts';
import type { Exchange } from './exchange.ts';
import { holdBytes } from './gateway-context.ts';
import type { GatewayContext } from './gateway-context.ts';
import { authenticationOf } from './put-object.ts';
import { readWhole } from './request-body.ts';

/**
 * The checked body of a request.
 *
 * @throws S3Error `EntityTooLarge` or `MaxMessageLengthExceeded` beyond `bytesMax`, and what
 *   checking a body throws.
 */
export async function readDocument(
  context: GatewayContext,
  exchange: Exchange,
  route: Route,
  bytesMax: number,
): Promise<Uint8Array> {
  const plan = planBody(route, authenticationOf(exchange), {
    bytesMax,
    lengthRequired: false,
    md5: false,
  });
  const sentBytes = Number(route.headers.get('content-length') ?? bytesMax);
  if (sentBytes > bytesMax + SMALL_FRAMING_BYTES_MAX) throw new S3Error('MaxMessageLengthExceeded');
  const waiting = holdBytes(context.gates.small, exchange, sentBytes);
  if (waiting !== undefined) await waiting;
  exchange.continue();
  const body = await readWhole(exchange.request, bytesMax + SMALL_FRAMING_BYTES_MAX);
  return decodeWholeBody(plan, body).payload;
}
