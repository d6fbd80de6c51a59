/**
 * What one server has acknowledged: small objects in a bucket, each with bytes of its own.
 *
 * An answer of 200 is a promise; the ledger keeps it and asks any server about all of them later. It
 * lives outside of every process that it judges.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DozoServer } from './dozo-server.ts';
import { randomBytesOf } from './random-bytes.ts';
import { signedExchange } from './raw-http.ts';

const BODY_BYTES = 9_000;
const LOAD_WRITERS = 2;
const LOAD_PAUSE_MS = 20;

export class ObjectLedger {
  readonly #bucket: string;
  readonly #acknowledged = new Set<string>();
  #askedCount = 0;
  #isLoadOver = true;
  #load: Promise<unknown> = Promise.resolve();

  /** `bucket` is made by {@link begin}; two ledgers on one device need two names. */
  constructor(bucket: string) {
    this.#bucket = bucket;
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size;
  }

  async begin(server: DozoServer): Promise<void> {
    const { status } = await signedExchange(server, { method: 'PUT', path: `/${this.#bucket}` });
    if (status !== 200) throw new Error(`The bucket ${this.#bucket} was not made: ${status}.`);
  }

  /** Stores so many objects. @returns how many were acknowledged. */
  async write(server: DozoServer, count: number): Promise<number> {
    let acknowledgedCount = 0;
    for (let index = 0; index < count; index += 1) {
      if (await this.writeOne(server)) acknowledgedCount += 1;
    }
    return acknowledgedCount;
  }

  /** Stores one object. @returns whether that was acknowledged. */
  async writeOne(server: DozoServer): Promise<boolean> {
    const key = `${this.#bucket}/${this.#askedCount}`;
    this.#askedCount += 1;
    const request = { method: 'PUT', path: `/${key}` };
    const isAcknowledged = await signedExchange(server, request, bodyOf(key)).then(
      ({ status }) => status === 200,
      // A server that ends while it is asked has acknowledged nothing.
      () => false,
    );
    if (isAcknowledged) this.#acknowledged.add(key);
    return isAcknowledged;
  }

  /** Goes on storing objects, several at once, until {@link endLoad} or the server's end. */
  beginLoad(server: DozoServer): void {
    this.#isLoadOver = false;
    const goOn = async (): Promise<void> => {
      while (!this.#isLoadOver && server.isRunning) {
        await this.writeOne(server);
        // Enough to be in the middle of a write at any moment; the machine has others to serve.
        await sleep(LOAD_PAUSE_MS);
      }
    };
    this.#load = Promise.all(Array.from({ length: LOAD_WRITERS }, goOn));
  }

  async endLoad(): Promise<void> {
    this.#isLoadOver = true;
    await this.#load;
  }

  /** Whether a server knows nothing of all that was acknowledged. */
  async isUnknownTo(server: DozoServer): Promise<boolean> {
    for (const key of [...this.#acknowledged]) {
      const { status } = await signedExchange(server, { method: 'GET', path: `/${key}` });
      if (status !== 404) return false;
    }
    return true;
  }

  /** Asks a server about everything acknowledged. @returns the keys that it does not have, or not whole. */
  async missingOn(server: DozoServer): Promise<string[]> {
    const missing: string[] = [];
    // Of this moment: there may be a load that adds to it.
    for (const key of [...this.#acknowledged]) {
      const { status, text } = await signedExchange(server, { method: 'GET', path: `/${key}` });
      if (status !== 200 || !text.endsWith(bodyOf(key))) missing.push(key);
    }
    return missing;
  }
}

function bodyOf(key: string): string {
  return randomBytesOf(key, BODY_BYTES / 2).toString('hex');
}
