/** The Network port over TCP: frames with a length in front, without Nagle's delay. */
import { NetworkError } from '@dozo/base';
import type {
  Connection,
  ConnectionEvents,
  Listener,
  Network,
  NetworkErrorDetail,
} from '@dozo/base';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

import { kernelErrorName } from './errors.ts';
import { CONNECTIONS_MAX, KEEP_ALIVE_MS } from './limits.ts';
import { TcpConnection } from './tcp-connection.ts';

const SOCKET_OPTIONS = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_MS,
} as const;

/** The network of this machine. */
export class TcpNetwork implements Network {
  async listen(
    address: string,
    accept: (connection: Connection) => ConnectionEvents,
  ): Promise<Listener> {
    const { host, port } = parseAddress(address);
    const server = createServer(SOCKET_OPTIONS, (socket) => {
      const connection = new TcpConnection(socket, addressOf(socket));
      connection.start(accept(connection));
    });
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const name = kernelErrorName(error);
        const inUse = name === 'EADDRINUSE';
        const code = inUse ? 'NETWORK_ADDRESS_IN_USE' : 'NETWORK_UNREACHABLE';
        const reason = inUse ? 'another process listens there. Choose another port' : name;
        reject(networkError(code, 'listen on', address, reason, error));
      });
      server.listen({ host, port, exclusive: true }, resolve);
    });
    // From now on an error concerns one newcomer (no descriptor or memory for it), not the listener.
    server.on('error', () => undefined);
    return new TcpListener(server, host);
  }

  connect(address: string, timeoutMs: number, events: ConnectionEvents): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const { host, port } = parseAddress(address);
      const socket = connect({ host, port, ...SOCKET_OPTIONS });
      const fail = (code: NetworkErrorDetail['code'], reason: string, cause?: unknown): void => {
        clearTimeout(timeout);
        socket.destroy();
        reject(networkError(code, 'connect to', address, reason, cause));
      };
      const timeout = setTimeout(() => {
        fail('NETWORK_UNREACHABLE', `nobody has answered within ${timeoutMs} ms`);
      }, timeoutMs);
      const onError = (error: unknown): void => {
        const name = kernelErrorName(error);
        if (name === 'ECONNREFUSED') fail('NETWORK_REFUSED', 'nobody listens there', error);
        else fail('NETWORK_UNREACHABLE', name, error);
      };
      socket.once('error', onError);
      socket.once('connect', () => {
        clearTimeout(timeout);
        socket.off('error', onError);
        const connection = new TcpConnection(socket, address);
        connection.start(events);
        resolve(connection);
      });
    });
  }
}

class TcpListener implements Listener {
  readonly address: string;
  readonly #server: Server;

  constructor(server: Server, host: string) {
    this.#server = server;
    const bound = server.address();
    this.address = formatAddress(host, typeof bound === 'object' ? (bound?.port ?? 0) : 0);
  }

  close(): Promise<void> {
    // The server's own callback waits for all its connections; ours go on.
    this.#server.close();
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Splits `host:port`, where the host of an IPv6 address stands in brackets. */
function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    const reason = 'it is not of the form host:port, with an IPv6 host in brackets';
    throw networkError('NETWORK_UNREACHABLE', 'use', address, reason);
  }
  return { host, port };
}

function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function addressOf(socket: Socket): string {
  return formatAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0);
}

function networkError(
  code: NetworkErrorDetail['code'],
  action: string,
  address: string,
  reason: string,
  cause?: unknown,
): NetworkError {
  return new NetworkError(`Cannot ${action} ${address}: ${reason}.`, { code, address }, { cause });
}
