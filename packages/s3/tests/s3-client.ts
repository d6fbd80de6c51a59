/**
 * A small S3 client for tests: signs with Signature V4 in headers and speaks plain HTTP, so that a
 * test can send exactly the bytes that it means, also wrong ones.
 */
import { createHash, createHmac } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';

export interface TestResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** The body as text. */
  readonly text: string;
  /** `Code` of an error document. */
  readonly code: string | undefined;
}

export interface TestRequest {
  readonly method: string;
  /** As it stands on the request line, encoded. */
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Default: SHA-256 of the body. */
  readonly payloadHash?: string;
  /** Send this instead of a header with the length of the body. */
  readonly contentLength?: number | 'none';
}

export class TestClient {
  readonly #port: number;
  readonly #accessKeyId: string;
  readonly #secret: string;
  readonly #nowMs: () => number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(options: {
    readonly port: number;
    readonly accessKeyId: string;
    readonly secret: string;
    readonly nowMs: () => number;
  }) {
    this.#port = options.port;
    this.#accessKeyId = options.accessKeyId;
    this.#secret = options.secret;
    this.#nowMs = options.nowMs;
  }

  close(): void {
    this.#agent.destroy();
  }

  put(path: string, body: Uint8Array | string, headers = {}): Promise<TestResponse> {
    return this.send({ method: 'PUT', path, body, headers });
  }

  get(path: string, headers = {}, query = ''): Promise<TestResponse> {
    return this.send({ method: 'GET', path, headers, query });
  }

  head(path: string, headers = {}): Promise<TestResponse> {
    return this.send({ method: 'HEAD', path, headers });
  }

  delete(path: string, query = ''): Promise<TestResponse> {
    return this.send({ method: 'DELETE', path, query });
  }

  post(path: string, query: string, body = '', headers = {}): Promise<TestResponse> {
    return this.send({ method: 'POST', path, query, body, headers });
  }

  /** Sends a request and reads the whole answer. */
  send(input: TestRequest): Promise<TestResponse> {
    return new Promise((resolve, reject) => {
      const request = this.begin(input, (response) => {
        readAll(response).then(resolve, reject);
      });
      request.on('error', reject);
      // As bytes: with text Node would write the headers as UTF-8 too.
      request.end(Buffer.from(input.body ?? ''));
    });
  }

  /** Opens a signed request; the caller writes the body. */
  begin(input: TestRequest, onResponse: (response: IncomingMessage) => void): ClientRequest {
    const { method, path, query = '', contentLength } = input;
    const bytes = Buffer.from(input.body ?? '');
    const headers: Record<string, string> = { ...input.headers };
    if (contentLength !== 'none') headers['content-length'] = String(contentLength ?? bytes.length);
    const payloadHash = input.payloadHash ?? createHash('sha256').update(bytes).digest('hex');
    const signed = this.#sign(method, path, query, headers, payloadHash);
    return httpRequest(
      {
        host: '127.0.0.1',
        port: this.#port,
        method,
        path: query === '' ? path : `${path}?${query}`,
        headers: signed,
        agent: this.#agent,
      },
      onResponse,
    );
  }

  /** The head of a signed request as it stands on the wire, for tests that speak to a socket. */
  signed(
    method: string,
    path: string,
    payloadHash: string,
    headers: Readonly<Record<string, string>>,
  ): string {
    const lines = Object.entries(this.#sign(method, path, '', headers, payloadHash));
    const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return `${method} ${path} HTTP/1.1\r\n${text}\r\n`;
  }

  #sign(
    method: string,
    path: string,
    query: string,
    headers: Readonly<Record<string, string>>,
    payloadHash: string,
  ): Record<string, string> {
    const iso = new Date(this.#nowMs()).toISOString();
    const date = iso.replace(/[-:]|\.\d+/g, '');
    const day = date.slice(0, 8);
    const all: Record<string, string> = {
      ...headers,
      host: headers['host'] ?? `127.0.0.1:${String(this.#port)}`,
      'x-amz-date': date,
      'x-amz-content-sha256': payloadHash,
    };
    const names = Object.keys(all).sort();
    const canonicalQuery = query
      .split('&')
      .filter((part) => part !== '')
      .map((part) => {
        const [name = '', value = ''] = part.split('=');
        return `${canonical(name)}=${canonical(value)}`;
      })
      .sort()
      .join('&');
    const request = [
      method,
      canonical(path).replaceAll('%2F', '/'),
      canonicalQuery,
      ...names.map((name) => `${name}:${(all[name] ?? '').trim()}`),
      '',
      names.join(';'),
      payloadHash,
    ].join('\n');
    const scope = `${day}/us-east-1/s3/aws4_request`;
    const hash = createHash('sha256').update(request, 'latin1').digest('hex');
    let key: Buffer | string = `AWS4${this.#secret}`;
    for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
    const signature = createHmac('sha256', key)
      .update(`AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash}`)
      .digest('hex');
    all['authorization'] =
      `AWS4-HMAC-SHA256 Credential=${this.#accessKeyId}/${scope}, ` +
      `SignedHeaders=${names.join(';')}, Signature=${signature}`;
    return all;
  }
}

/** Encodes what is encoded in some way as Signature V4 does. */
function canonical(text: string): string {
  return encodeURIComponent(decodeURIComponent(text)).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Reads an answer to its end; rejects where the connection broke before. */
export async function readAll(response: IncomingMessage): Promise<TestResponse> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const body = Buffer.concat(pieces);
  const text = body.toString('utf8');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers as Record<string, string | undefined>,
    body,
    text,
    code: /<Error>.*<Code>([^<]*)<\/Code>/s.exec(text)?.[1],
  };
}

/** Text of the first element of this name in a document. */
export function elementOf(text: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
}

/** Texts of all elements of this name in a document. */
export function elementsOf(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map(
    (match) => match[1] ?? '',
  );
}
