/** Signs a request for S3, as a client does, with the body left unsigned. */
import { createHash, createHmac } from 'node:crypto';

import { ACCESS_KEY_ID, SECRET } from './dozo-process.ts';

export interface RequestOptions {
  readonly method: string;
  readonly url: string;
  readonly body?: string | Uint8Array;
}

/** The headers that `fetch` or `https.request` needs. Source: Signature Version 4, header form. */
export function signedHeaders({ method, url }: RequestOptions): Record<string, string> {
  const { host, pathname, searchParams } = new URL(url);
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const day = stamp.slice(0, 8);
  const names = 'host;x-amz-content-sha256;x-amz-date';
  searchParams.sort();
  const canonical = [
    method,
    pathname,
    searchParams.toString(),
    `host:${host}`,
    'x-amz-content-sha256:UNSIGNED-PAYLOAD',
    `x-amz-date:${stamp}`,
    '',
    names,
    'UNSIGNED-PAYLOAD',
  ].join('\n');
  const scope = `${day}/us-east-1/s3/aws4_request`;
  const digest = createHash('sha256').update(canonical).digest('hex');
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, digest].join('\n');
  const key = [day, 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${SECRET}`,
  );
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return {
    'x-amz-date': stamp,
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    authorization: `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY_ID}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** Sends one signed request. */
export function send(options: RequestOptions): Promise<Response> {
  const { method, url, body } = options;
  const content = body === undefined ? {} : { body };
  return fetch(url, { method, headers: signedHeaders(options), ...content });
}
