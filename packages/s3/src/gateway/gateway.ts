/**
 * The S3 gateway: HTTP in front of the store.
 *
 * A request is parsed, authenticated and admitted before a byte of its body is read, so that one
 * that is refused costs little, and `Expect: 100-continue` is answered only when the body is wanted.
 * Slots bound how many requests run, three gates how many bytes they hold, Node's own limits how many
 * connections there are and how long they may stand still.
 */
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { hexOfBytes } from '@dozo/base';
import type { Clock, Random } from '@dozo/base';
import type { TransactionStore } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { DEFAULT_LIMITS, OVERLOAD_WARNING_MS, REQUEST_HEAD_BYTES_MAX } from '../limits.ts';
import type { S3Limits } from '../limits.ts';
import {
  checkExpectedOwner,
  parseRequestHeaders,
  refuseUnsupportedHeaders,
  routeRequest,
  SignatureVerifier,
} from '../protocol/index.ts';
import type { Owner } from '../protocol/index.ts';
import { S3Store } from '../store/s3-store.ts';
import { ALL_MECHANISMS } from '../store/store-context.ts';
import type { StorePools } from '../store/store-context.ts';
import type { SweepReport } from '../store/sweep.ts';
import { Gate } from './admission.ts';
import { Background } from './background.ts';
import { dispatch } from './dispatch.ts';
import { Exchange } from './exchange.ts';
import { asS3Error, ClientVanished } from './failure.ts';
import type { GatewayContext } from './gateway-context.ts';
import type { Logger } from './logger.ts';

/** What a gateway is made of. */
export interface S3GatewayOptions {
  readonly store: TransactionStore;
  readonly pools: StorePools;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The secret of an access key; undefined if there is none. */
  readonly secretOf: (accessKeyId: string) => string | undefined;
  /** Names under which buckets are hosts, such as `s3.example.org`; default: none. */
  readonly baseDomains?: readonly string[];
  /** What GetBucketLocation tells; default us-east-1. */
  readonly region?: string;
  /** Who owns everything. */
  readonly owner?: Owner;
  /** What differs from the defaults. */
  readonly limits?: Partial<S3Limits>;
  /** With it, HTTPS. */
  readonly tls?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array };
}

/** Counters since the start, and gauges. */
export interface S3GatewayStats {
  readonly requestCount: number;
  readonly clientErrorCount: number;
  readonly serverErrorCount: number;
  readonly slowDownCount: number;
  readonly runningCount: number;
  readonly waitingCount: number;
  readonly heldBytes: number;
  readonly collectedCount: number;
  readonly lastSweep: SweepReport | undefined;
}

/** Where a gateway listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 picks one. */
  readonly port: number;
}

/** A gateway, made by {@link createS3Gateway}. */
export interface S3Gateway {
  /** Begins to serve, and to collect. Resolves with the address that it got. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /**
   * Stops: accepts nobody any more, lets running requests end within the limit, then cuts them.
   * Idempotent. Closes neither store nor clock.
   */
  stop(): Promise<void>;
  stats(): S3GatewayStats;
}

const DEFAULT_OWNER: Owner = { id: 'dozo', displayName: 'dozo' };

/** Makes a gateway on a store. Any number of gateways may share a store. */
export function createS3Gateway(options: S3GatewayOptions): S3Gateway {
  return new Gateway(options);
}

class Gateway implements S3Gateway {
  readonly #context: GatewayContext;
  readonly #background: Background;
  readonly #verifier: SignatureVerifier;
  readonly #baseDomains: readonly string[];
  readonly #slots: Gate;
  readonly #server: Server;
  /** Request ids are a random beginning and a number. */
  readonly #requestIdStart: string;
  #requestCount = 0;
  #clientErrorCount = 0;
  #serverErrorCount = 0;
  /** Refusals of each kind since the last warning, and when that was. */
  readonly #overloads = new Map<string, { readonly count: number; readonly lastMs: number }>();
  #isStopping = false;
  #stopped: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  /** Connections that have not sent a request yet; Node does not count them as idle. */
  readonly #unused = new Set<Socket>();

  constructor(options: S3GatewayOptions) {
    const { clock, random, logger, store, pools } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { waitingRequests: waitersMax, waitingMs: waitMs } = limits;
    const mechanisms = ALL_MECHANISMS;
    this.#context = {
      store: new S3Store({ store, clock, random, pools, limits, mechanisms }),
      clock,
      random,
      limits,
      owner: options.owner ?? DEFAULT_OWNER,
      region: options.region === 'us-east-1' ? undefined : options.region,
      logger,
      gates: {
        small: new Gate({ clock, total: limits.smallBodyBytes, waitersMax, waitMs }),
        upload: new Gate({ clock, total: limits.bodyBytes, waitersMax, waitMs }),
        download: new Gate({ clock, total: limits.readBytes, waitersMax, waitMs }),
      },
    };
    this.#background = new Background({ store: this.#context.store, clock, limits, logger });
    this.#verifier = new SignatureVerifier({ secretOf: options.secretOf });
    this.#baseDomains = (options.baseDomains ?? []).map((domain) => domain.toLowerCase());
    this.#slots = new Gate({ clock, total: limits.requestSlots, waitersMax, waitMs });
    this.#requestIdStart = hexOfBytes(random.bytes(4)).toUpperCase();
    this.#server = createServer(limits, options.tls);
    this.#server.on('request', (request, response) => this.#begin(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#begin(request, response, true));
    this.#server.on('clientError', refuseBrokenRequest);
    const connected = options.tls === undefined ? 'connection' : 'secureConnection';
    this.#server.on(connected, (socket: Socket) => {
      this.#unused.add(socket);
      socket.once('close', () => this.#unused.delete(socket));
    });
  }

  listen(address: ListenAddress): Promise<ListenAddress> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(address.port, address.host, () => {
        server.off('error', reject);
        server.on('error', (error) => {
          this.#context.logger.error({ err: error }, 'the listening socket failed');
        });
        this.#background.start();
        const { port } = server.address() as AddressInfo;
        resolve({ host: address.host, port });
      });
    });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  stats(): S3GatewayStats {
    const { small, upload, download } = this.#context.gates;
    const gates = [this.#slots, small, upload, download];
    return {
      requestCount: this.#requestCount,
      clientErrorCount: this.#clientErrorCount,
      serverErrorCount: this.#serverErrorCount,
      slowDownCount: sumOf(gates, (gate) => gate.refusedCount),
      runningCount: this.#slots.used,
      waitingCount: sumOf(gates, (gate) => gate.waiterCount),
      heldBytes: small.used + upload.used + download.used,
      collectedCount: this.#background.freedCount,
      lastSweep: this.#background.lastSweep,
    };
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    this.#server.closeIdleConnections();
    for (const socket of this.#unused) socket.destroy();
    await this.#settled();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Resolves when nothing runs any more, or the time for it is over. */
  #settled(): Promise<void> {
    const { clock, limits, logger } = this.#context;
    return new Promise((resolve) => {
      const timer = clock.startTimer(limits.stopTimeoutMs, () => {
        logger.warn({ cut: this.#slots.used }, 'requests that did not end in time are cut off');
        resolve();
      });
      const idle = new Promise<void>((whenIdle) => {
        this.#onIdle = whenIdle;
      });
      if (this.#slots.used + this.#slots.waiterCount === 0) this.#onIdle?.();
      void Promise.all([idle, this.#background.stop()]).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** A request has come; its body has not been read. */
  #begin(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { clock } = this.#context;
    this.#unused.delete(request.socket);
    this.#requestCount += 1;
    const number = this.#requestCount.toString(16).toUpperCase().padStart(8, '0');
    const startMs = clock.monotonicMs();
    const exchange = new Exchange(
      request,
      response,
      this.#requestIdStart + number,
      startMs,
      expectsContinue,
    );
    // A connection that broke ends in `close`; an error event that nobody hears ends the process.
    response.on('error', ignore);
    if (this.#isStopping) response.shouldKeepAlive = false;
    try {
      const headers = parseRequestHeaders(request.rawHeaders);
      const head = { method: request.method ?? '', target: request.url ?? '', headers };
      exchange.head = head;
      const route = routeRequest(head, this.#baseDomains);
      exchange.route = route;
      exchange.authentication = this.#verifier.verify(head, route, clock.wallMs());
      refuseUnsupportedHeaders(route.headers);
      checkExpectedOwner(route.headers, this.#context.owner);
      const waiting = this.#slots.take(1);
      if (waiting === undefined) this.#run(exchange);
      else {
        waiting.then(
          () => this.#run(exchange),
          (error: unknown) => this.#fail(exchange, error),
        );
      }
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** The request has a slot. */
  #run(exchange: Exchange): void {
    const { route } = exchange;
    try {
      if (route === undefined) throw new S3Error('InternalError');
      dispatch(this.#context, exchange, route).then(
        () => this.#end(exchange),
        (error: unknown) => {
          this.#fail(exchange, error);
          this.#end(exchange);
        },
      );
    } catch (error) {
      this.#fail(exchange, error);
      this.#end(exchange);
    }
  }

  /** The handler is done; what it held is given back when the client has taken the answer. */
  #end(exchange: Exchange): void {
    const { response } = exchange;
    if (!response.destroyed && (response.socket?.writableLength ?? 0) > 0) {
      response.once('close', () => this.#release(exchange));
    } else this.#release(exchange);
  }

  #release(exchange: Exchange): void {
    exchange.giveBack();
    this.#slots.give(1);
    if (this.#context.logger.isDebugEnabled !== false) this.#log(exchange);
    if (this.#onIdle !== undefined && this.#slots.used + this.#slots.waiterCount === 0) {
      this.#onIdle();
    }
  }

  #fail(exchange: Exchange, error: unknown): void {
    if (error instanceof ClientVanished) {
      exchange.errorCode = 'ClientVanished';
      exchange.response.destroy();
      return;
    }
    const answer = asS3Error(error);
    const wasSending = exchange.response.headersSent;
    // Who asks for what is not there asks for it again and again; the server is not at fault.
    const isClients = answer.status < 500 || answer.code === 'NotImplemented';
    if (isClients) this.#clientErrorCount += 1;
    else this.#serverErrorCount += 1;
    exchange.sendError(answer);
    if (isClients && !wasSending) return;
    if (isOverload(answer) && !wasSending) {
      this.#warnOfOverload(answer.code, error);
      return;
    }
    const { requestId, head, route } = exchange;
    const fields = { requestId, code: answer.code, method: head?.method, err: error };
    this.#context.logger.error({ ...fields, target: route?.rawPath }, 'a request failed');
  }

  /** A server that is full or busy refuses thousands a second; one line now and then says so. */
  #warnOfOverload(code: string, error: unknown): void {
    const { clock, logger } = this.#context;
    const count = (this.#overloads.get(code)?.count ?? 0) + 1;
    const lastMs = this.#overloads.get(code)?.lastMs ?? -Infinity;
    const nowMs = clock.monotonicMs();
    const isDue = nowMs - lastMs >= OVERLOAD_WARNING_MS;
    this.#overloads.set(code, isDue ? { count: 0, lastMs: nowMs } : { count, lastMs });
    if (!isDue) return;
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn({ code, count, reason }, 'requests are refused');
  }

  #log(exchange: Exchange): void {
    const { route, response, requestId, errorCode } = exchange;
    this.#context.logger.debug(
      {
        requestId,
        method: exchange.head?.method,
        operation: route?.operation,
        bucket: route !== undefined && 'bucket' in route ? route.bucket : undefined,
        key: route?.scope === 'object' ? route.key : undefined,
        status: response.statusCode,
        ms: Math.round((this.#context.clock.monotonicMs() - exchange.startMs) * 10) / 10,
        code: errorCode,
      },
      'request',
    );
  }
}

/** Whether a refusal says something of the server's load, not of a fault. */
function isOverload(error: S3Error): boolean {
  return ['SlowDown', 'InsufficientStorage', 'ServiceUnavailable'].includes(error.code);
}

function sumOf(gates: readonly Gate[], count: (gate: Gate) => number): number {
  return gates.reduce((sum, gate) => sum + count(gate), 0);
}

function createServer(limits: S3Limits, tls: S3GatewayOptions['tls']): Server {
  const options: ServerOptions = {
    keepAliveTimeout: limits.idleTimeoutMs,
    headersTimeout: limits.headersTimeoutMs,
    // A body may take as long as it moves: the socket's own timeout below ends one that does not.
    requestTimeout: 0,
    maxHeaderSize: REQUEST_HEAD_BYTES_MAX,
    noDelay: true,
    insecureHTTPParser: false,
  };
  const server =
    tls === undefined
      ? createHttpServer(options)
      : createHttpsServer({
          ...options,
          cert: Buffer.from(tls.cert),
          key: Buffer.from(tls.key),
          minVersion: 'TLSv1.2',
        });
  server.maxConnections = limits.connections;
  server.timeout = limits.stallTimeoutMs;
  return server;
}

/** Answers what is not HTTP, or too much of it. */
function refuseBrokenRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function ignore(): void {
  // See where it is used.
}
