/** Requests that no client library would send, byte by byte, and what the server makes of them. */
import { connect, type Socket } from 'node:net';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { Signer, type SignedRequest, type UnsignedRequest } from '../../bench/s3-signature.ts';
import { ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, type DozoServer } from './dozo-server.ts';

export interface RawAnswer {
  /** 0 when the connection ended without a word. */
  readonly status: number;
  /** Of the XML body; empty when there is none. */
  readonly code: string;
  readonly text: string;
}

const ANSWER_TIMEOUT_MS = 150_000;

export const signer = new Signer({
  accessKeyId: ACCESS_KEY_ID,
  secretAccessKey: SECRET_ACCESS_KEY,
  region: REGION,
});

export const sha256Hex = (bytes: string | Uint8Array): string => hash('sha256', bytes, 'hex');

/** Opens a connection; errors on it later are part of the game. */
export async function openSocket(server: DozoServer): Promise<Socket> {
  const socket = connect({ host: server.host, port: server.port });
  socket.on('error', () => {
    // A reset is one of the answers that a bad client may get.
  });
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  return socket;
}

/**
 * Sends bytes and reads until the server closes or its answer is whole. With `isOver` the client
 * ends its side after the bytes, as one does that has sent all that it wants to send.
 */
export async function exchange(
  server: DozoServer,
  bytes: string | Buffer | readonly (string | Buffer)[],
  { isOver = false }: { readonly isOver?: boolean } = {},
): Promise<RawAnswer> {
  const socket = await openSocket(server);
  const parts = Array.isArray(bytes) ? (bytes as (string | Buffer)[]) : [bytes as string | Buffer];
  for (const part of parts) socket.write(part);
  if (isOver) socket.end();
  const answer = await readAnswer(socket);
  socket.destroy();
  return answer;
}

/** Reads one answer from a connection. */
export function readAnswer(socket: Socket): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`No end of the answer; so far: ${JSON.stringify(text.slice(0, 500))}`));
    }, ANSWER_TIMEOUT_MS);
    const finish = (): void => {
      clearTimeout(deadline);
      resolve(parseAnswer(text));
    };
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      text = text.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '');
      if (isWhole(text)) finish();
    });
    socket.on('close', finish);
    // A connection that was refused is over before anybody asks.
    if (socket.closed) finish();
  });
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  // These have no body, and so no length.
  if (/^HTTP\/1\.1 (204|304)/.test(text)) return true;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd + 2))?.[1];
  return length !== undefined && text.length >= headEnd + 4 + Number(length);
}

function parseAnswer(text: string): RawAnswer {
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0),
    code: /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? '',
    text,
  };
}

export type RequestShape = Omit<UnsignedRequest, 'host' | 'payload'> & {
  readonly payload?: string;
};

/** Signs a request; its payload is declared empty unless said otherwise. */
export function sign(server: DozoServer, request: RequestShape): SignedRequest {
  const host = `${server.host}:${server.port}`;
  return signer.sign({ payload: sha256Hex(''), ...request, host }, new Date());
}

/** The head of a signed request as text; `unsigned` headers are added behind the signature's back. */
export function signedHead(
  server: DozoServer,
  request: RequestShape,
  unsigned: Readonly<Record<string, string>> = {},
): string {
  const { headers } = sign(server, request);
  return headText(request, { ...headers, ...unsigned });
}

/** A head as text. */
export function headText(
  request: Pick<UnsignedRequest, 'method' | 'path' | 'query'>,
  headers: Readonly<Record<string, string>>,
): string {
  const query = request.query === undefined ? '' : `?${request.query}`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${request.method} ${request.path}${query} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** Sends a signed request with a body of known length, hashed as it should be. */
export function signedExchange(
  server: DozoServer,
  request: RequestShape,
  body: string | Buffer = '',
): Promise<RawAnswer> {
  const bytes = Buffer.from(body);
  const head = signedHead(
    server,
    { payload: sha256Hex(bytes), ...request },
    { 'content-length': String(bytes.length) },
  );
  return exchange(server, [head, bytes]);
}
