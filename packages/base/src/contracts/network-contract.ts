/** What every Network must do between two ends that live. */
import { equalBytes } from '../bytes.ts';
import { hasCode } from '../errors.ts';
import { NETWORK_FRAME_BYTES_MAX } from '../network.ts';
import type { AnyNetworkError, Connection, Listener, Network } from '../network.ts';
import { SeededRandom } from '../seeded-random.ts';
import { demand, demandRejection } from './contract.ts';
import type { ContractCase } from './contract.ts';

/** A network under test. */
export interface NetworkUnderTest {
  readonly network: Network;
  /** An address to listen on that picks a free port. */
  readonly anyAddress: string;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** The contract of {@link Network}; each case listens on a port of its own. */
export function networkContract(make: () => NetworkUnderTest): readonly ContractCase[] {
  const on = (name: string, check: (pair: Pair) => Promise<void>): ContractCase => ({
    name,
    run: async () => {
      const pair = await openPair(make());
      try {
        await check(pair);
      } finally {
        pair.client.connection.close();
        pair.server.connection.close();
        await pair.listener.close();
      }
    },
  });
  return [
    on('frames of all sizes arrive whole, in order, both ways', framesArrive),
    on('a frame that is too large is refused and the connection goes on', async (pair) => {
      const error = thrownBy(() => {
        pair.client.connection.send(new Uint8Array(NETWORK_FRAME_BYTES_MAX + 1));
      });
      demand(hasCode(error, 'NETWORK_FRAME_TOO_LARGE'), 'send throws NETWORK_FRAME_TOO_LARGE');
      pair.client.connection.send(new Uint8Array([1]));
      demand((await pair.server.frames(1))[0]?.[0] === 1, 'the next frame arrives');
    }),
    on('a long queue asks the sender to wait, loses nothing, and drains', queueDrains),
    on('closing delivers what was sent before, and both ends learn of it once', closes),
    on('sending on a closed connection is refused', async (pair) => {
      pair.client.connection.close();
      pair.client.connection.close();
      const error = thrownBy(() => pair.client.connection.send(new Uint8Array(1)));
      demand(hasCode(error, 'NETWORK_CLOSED'), 'send throws NETWORK_CLOSED');
      await pair.client.connection.drained();
    }),
    on('connecting where nobody listens is refused', async ({ network, listener, ...pair }) => {
      await listener.close();
      await listener.close();
      const connecting = network.connect(listener.address, CONNECT_TIMEOUT_MS, silent);
      await demandRejection(connecting, 'NETWORK_REFUSED');
      pair.client.connection.send(new Uint8Array([7]));
      demand((await pair.server.frames(1))[0]?.[0] === 7, 'connections outlive their listener');
    }),
    on('an address has one listener', async ({ network, listener }) => {
      const second = network.listen(listener.address, () => silent);
      await demandRejection(second, 'NETWORK_ADDRESS_IN_USE');
    }),
  ];
}

/** One end of a connection, and what it has been told. */
class End {
  connection!: Connection;
  readonly received: Uint8Array[] = [];
  readonly closings: (AnyNetworkError | undefined)[] = [];
  #wake: () => void = () => undefined;

  readonly events = {
    onFrame: (frame: Uint8Array): void => {
      this.received.push(frame);
      this.#wake();
    },
    onClose: (error: AnyNetworkError | undefined): void => {
      this.closings.push(error);
      this.#wake();
    },
  };

  async frames(count: number): Promise<readonly Uint8Array[]> {
    await this.#until(() => this.received.length >= count || this.closings.length > 0);
    return this.received;
  }

  async closed(): Promise<void> {
    await this.#until(() => this.closings.length > 0);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

interface Pair {
  readonly network: Network;
  readonly listener: Listener;
  readonly client: End;
  readonly server: End;
}

const silent = { onFrame: () => undefined, onClose: () => undefined };

async function openPair({ network, anyAddress }: NetworkUnderTest): Promise<Pair> {
  const client = new End();
  const server = new End();
  const accepted = Promise.withResolvers<Connection>();
  const listener = await network.listen(anyAddress, (connection) => {
    accepted.resolve(connection);
    return server.events;
  });
  client.connection = await network.connect(listener.address, CONNECT_TIMEOUT_MS, client.events);
  server.connection = await accepted.promise;
  demand(client.connection.remoteAddress === listener.address, 'the client sees whom it reached');
  return { network, listener, client, server };
}

async function framesArrive({ client, server }: Pair): Promise<void> {
  const random = new SeededRandom(1);
  const sizes = [0, 1, 3, 4, 5, 100, 4096, 65_535, 65_536, 65_537, 1_000_000];
  sizes.push(NETWORK_FRAME_BYTES_MAX, 0, 2, 70_000, 70_000);
  const sent = sizes.map((size) => random.bytes(size));
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    for (const frame of sent) from.connection.send(frame);
    const received = await to.frames(sent.length);
    demand(received.length === sent.length, 'as many frames arrive as were sent');
    for (const [index, frame] of sent.entries()) {
      const arrived = received[index] ?? new Uint8Array(0);
      demand(equalBytes(arrived, frame), `frame ${index} is as it was sent`);
    }
  }
}

async function queueDrains({ client, server }: Pair): Promise<void> {
  const frame = new Uint8Array(256 * 1024).fill(3);
  let count = 0;
  for (let isAskedToWait = false; !isAskedToWait; count++) {
    demand(count < 200, 'after 50 MiB the sender is asked to wait');
    isAskedToWait = !client.connection.send(frame);
  }
  await client.connection.drained();
  await client.connection.drained();
  demand(client.connection.send(frame), 'a drained queue takes more');
  const received = await server.frames(count + 1);
  demand(received.length === count + 1, 'nothing was lost');
}

async function closes({ client, server }: Pair): Promise<void> {
  const count = 20;
  for (let index = 0; index < count; index++) client.connection.send(new Uint8Array(100_000));
  client.connection.close();
  await Promise.all([client.closed(), server.closed()]);
  demand(server.received.length === count, 'everything that was sent has arrived');
  for (const end of [client, server]) {
    demand(end.closings.length === 1, 'each end is told once');
    demand(end.closings[0] === undefined, 'an end by close is no error');
  }
}

function thrownBy(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
