/**
 * The health port: `/livez`, `/readyz` and `/status`, apart from the S3 port so that probes get an
 * answer when clients have taken every request slot, and before recovery is over.
 *
 * - `/livez` 200: the process runs and its event loop turns; that it answers is the proof.
 * - `/readyz` 200: it serves; 503 with the reason while it starts or stops or after a failure.
 * - `/status` 200: everything that `dozo status` shows, as JSON. No secrets.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { HEALTH_CONNECTIONS_MAX, HEALTH_REQUEST_MS } from '../limits.ts';
import { listenError } from './listen-error.ts';

/** Where the daemon stands in its life. */
export type DaemonPhase = 'starting' | 'serving' | 'stopping' | 'failed';

export interface HealthServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly phase: () => DaemonPhase;
  /** Something that JSON can carry. */
  readonly status: () => object;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts to answer. Throws `ADDRESS_IN_USE` and `ADDRESS_UNUSABLE`. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer(
    { requestTimeout: HEALTH_REQUEST_MS, headersTimeout: HEALTH_REQUEST_MS, keepAlive: false },
    (request, response) => {
      answer(request, response, options);
    },
  );
  server.maxConnections = HEALTH_CONNECTIONS_MAX;
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  return { port, close: () => closeServer(server) };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HealthServerOptions,
): void {
  request.resume();
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Connection', 'close');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    sendText(response, 405, 'only GET and HEAD');
    return;
  }
  const path = request.url?.split('?', 1)[0];
  if (path === '/livez') {
    sendText(response, 200, 'ok');
  } else if (path === '/readyz') {
    const phase = options.phase();
    sendText(response, phase === 'serving' ? 200 : 503, phase === 'serving' ? 'ok' : phase);
  } else if (path === '/status') {
    response.setHeader('Content-Type', 'application/json');
    response.end(`${JSON.stringify(options.status())}\n`);
  } else {
    sendText(response, 404, 'there are /livez, /readyz and /status');
  }
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`${text}\n`);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(listenError(error, host, port, '--health-port'));
    };
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
