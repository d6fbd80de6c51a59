/**
 * Load on an S3 endpoint: a closed loop of connections, each sending its next request when the last
 * one is answered.
 *
 * Requests are signed before the clock starts (a signature is good for 15 minutes), so that the
 * generator does not compete with the server for the processor. Each worker walks through keys of
 * its own: nobody else writes them, and in a run by count each is used once.
 */
import { hash, randomBytes } from 'node:crypto';
import { Connection, type PreparedRequest, type Target } from './s3-connection.ts';
import { encodeKey, Signer, UNSIGNED_PAYLOAD, type Credentials } from './s3-signature.ts';

export type Workload = 'put' | 'get' | 'mixed' | 'list';

export interface LoadOptions {
  readonly endpoint: string;
  readonly credentials: Credentials;
  readonly bucket: string;
  readonly workload: Workload;
  readonly sizeBytes: number;
  readonly concurrency: number;
  /** Ends after this many ms, or after `count` requests, whichever is given. */
  readonly durationMs: number | undefined;
  readonly count: number | undefined;
  /** Different keys in use. */
  readonly keyCount: number;
  readonly prefix: string;
  /** `signed`: SHA-256 of every body is declared, and must be checked. */
  readonly payload: 'signed' | 'unsigned';
  /** Of `mixed`, the share of reads, in `[0, 1]`. */
  readonly readShare: number;
  /** Writes the objects that are to be read before the clock starts. */
  readonly prepare: boolean;
  readonly isInsecure: boolean;
}

export interface LoadResult {
  readonly workload: Workload;
  readonly sizeBytes: number;
  readonly concurrency: number;
  readonly seconds: number;
  readonly operations: number;
  readonly errors: number;
  readonly operationsPerSecond: number;
  /** Bodies sent and received, in 10^6 bytes. */
  readonly megabytesPerSecond: number;
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
  readonly latencyMsMax: number;
  /** Processor time of the generator itself: when it nears the run's length, it is the limit. */
  readonly generatorCpuSeconds: number;
  /** How often each status came, and broken connections under 0. */
  readonly statuses: Readonly<Record<string, number>>;
}

const BODY_VARIETY = 8;
const ERRORS_BEFORE_GIVING_UP = 1_000;

/** Makes requests ready to send. */
class RequestForge {
  readonly #signer: Signer;
  readonly #options: LoadOptions;
  readonly #host: string;
  readonly #now = new Date();
  readonly #bodies: { readonly bytes: Buffer; readonly digest: string }[];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#signer = new Signer(options.credentials);
    this.#host = new URL(options.endpoint).host;
    // Few large bodies: their bytes differ all the same.
    const variety = options.sizeBytes > 1024 * 1024 ? 2 : BODY_VARIETY;
    this.#bodies = Array.from({ length: variety }, () => {
      const bytes = randomBytes(options.sizeBytes);
      return { bytes, digest: hash('sha256', bytes, 'hex') };
    });
  }

  put(key: string, index: number): PreparedRequest {
    const body = this.#bodies[index % this.#bodies.length];
    if (body === undefined) throw new Error('No body.');
    const payload = this.#options.payload === 'signed' ? body.digest : UNSIGNED_PAYLOAD;
    return {
      head: this.#head('PUT', this.#pathOf(key), '', payload, body.bytes),
      body: body.bytes,
    };
  }

  get(key: string): PreparedRequest {
    return { head: this.#head('GET', this.#pathOf(key), '', UNSIGNED_PAYLOAD), body: undefined };
  }

  list(): PreparedRequest {
    const query = `list-type=2&max-keys=1000&prefix=${encodeURIComponent(this.#options.prefix)}`;
    const head = this.#head('GET', `/${this.#options.bucket}`, query, UNSIGNED_PAYLOAD);
    return { head, body: undefined };
  }

  createBucket(): PreparedRequest {
    const path = `/${this.#options.bucket}`;
    const body = Buffer.alloc(0);
    return { head: this.#head('PUT', path, '', hash('sha256', '', 'hex'), body), body: undefined };
  }

  #pathOf(key: string): string {
    return `/${this.#options.bucket}/${encodeKey(key)}`;
  }

  #head(method: string, path: string, query: string, payload: string, body?: Buffer): Buffer {
    const request = { method, host: this.#host, path, query, payload };
    const { headers } = this.#signer.sign(request, this.#now);
    const lines = [`${method} ${path}${query === '' ? '' : `?${query}`} HTTP/1.1`];
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    if (body !== undefined) lines.push(`content-length: ${body.length}`);
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  }
}

/** What the workers of a run share. */
interface Tally {
  readonly latenciesMs: number[];
  readonly statuses: Map<number, number>;
  bodyBytes: number;
  errors: number;
}

function targetOf(options: LoadOptions): Target {
  const url = new URL(options.endpoint);
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  return { host: url.hostname, port, isTls, isInsecure: options.isInsecure };
}

/** One connection's share of a run. Connects again when the server closes. */
async function work(
  target: Target,
  next: () => PreparedRequest | undefined,
  tally: Tally,
): Promise<void> {
  let connection = await Connection.open(target);
  for (let request = next(); request !== undefined; request = next()) {
    const startMs = performance.now();
    let status = 0;
    try {
      if (!connection.isOpen) connection = await Connection.open(target);
      const response = await connection.send(request);
      status = response.status;
      tally.bodyBytes += response.bodyBytes;
    } catch {
      connection.close();
    }
    tally.latenciesMs.push(performance.now() - startMs);
    tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
    if (status >= 200 && status < 300) tally.bodyBytes += request.body?.length ?? 0;
    else if (++tally.errors > ERRORS_BEFORE_GIVING_UP) break;
  }
  connection.close();
}

function percentile(sorted: readonly number[], fraction: number): number {
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * fraction));
  return Math.round((sorted[at] ?? 0) * 1_000) / 1_000;
}

/** The requests of a run in the order in which they are sent. */
function forgeRequests(options: LoadOptions, forge: RequestForge): PreparedRequest[] {
  if (options.workload === 'list') return [forge.list()];
  return Array.from({ length: options.keyCount }, (_, index) => {
    const key = keyOf(options, index);
    if (options.workload === 'put') return forge.put(key, index);
    if (options.workload === 'get') return forge.get(key);
    // Reads and writes spread evenly, without chance: two runs do the same.
    const isRead =
      Math.floor((index + 1) * options.readShare) > Math.floor(index * options.readShare);
    return isRead ? forge.get(key) : forge.put(key, index);
  });
}

function keyOf(options: LoadOptions, index: number): string {
  return `${options.prefix}${String(index).padStart(8, '0')}`;
}

/** Makes the bucket and, where a run reads, its objects. */
async function prepare(options: LoadOptions, forge: RequestForge): Promise<void> {
  const connection = await Connection.open(targetOf(options));
  const { status } = await connection.send(forge.createBucket());
  connection.close();
  if (status !== 200 && status !== 409) {
    throw new Error(`Making the bucket ${options.bucket} was answered with status ${status}.`);
  }
  if (options.workload === 'put' || !options.prepare) return;
  const puts = Array.from({ length: options.keyCount }, (_, index) => index);
  let position = 0;
  const tally: Tally = { latenciesMs: [], statuses: new Map(), bodyBytes: 0, errors: 0 };
  const next = (): PreparedRequest | undefined => {
    const index = puts[position++];
    return index === undefined ? undefined : forge.put(keyOf(options, index), index);
  };
  const workers = Array.from({ length: Math.min(16, options.concurrency) }, () =>
    work(targetOf(options), next, tally),
  );
  await Promise.all(workers);
  if (tally.errors > 0) throw new Error(`Preparing objects: ${tally.errors} requests failed.`);
}

/** Runs a load to its end. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const forge = new RequestForge(options);
  await prepare(options, forge);
  const requests = forgeRequests(options, forge);
  const tally: Tally = { latenciesMs: [], statuses: new Map(), bodyBytes: 0, errors: 0 };
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  const endMs = options.durationMs === undefined ? Infinity : startMs + options.durationMs;
  const count = options.count ?? Infinity;
  let position = 0;
  const next = (): PreparedRequest | undefined => {
    if (position >= count || performance.now() >= endMs) return undefined;
    const request = requests[position % requests.length];
    position += 1;
    return request;
  };
  const target = targetOf(options);
  await Promise.all(Array.from({ length: options.concurrency }, () => work(target, next, tally)));
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = process.cpuUsage(startCpu);
  const sorted = Float64Array.from(tally.latenciesMs).sort();
  const latencies = Array.from(sorted);
  const operations = latencies.length - tally.errors;
  return {
    workload: options.workload,
    sizeBytes: options.sizeBytes,
    concurrency: options.concurrency,
    seconds: Math.round(seconds * 1_000) / 1_000,
    operations,
    errors: tally.errors,
    operationsPerSecond: Math.round((operations / seconds) * 10) / 10,
    megabytesPerSecond: Math.round(tally.bodyBytes / seconds / 10_000) / 100,
    latencyMsP50: percentile(latencies, 0.5),
    latencyMsP99: percentile(latencies, 0.99),
    latencyMsMax: percentile(latencies, 1),
    generatorCpuSeconds: Math.round((cpu.user + cpu.system) / 1_000) / 1_000,
    statuses: Object.fromEntries(tally.statuses),
  };
}

/** A result in one line, for people. */
export function describeLoad(result: LoadResult): string {
  return [
    `${result.workload} ${result.sizeBytes} bytes x ${result.concurrency}:`,
    `${result.operationsPerSecond} ops/s, ${result.megabytesPerSecond} MB/s,`,
    `p50 ${result.latencyMsP50} ms, p99 ${result.latencyMsP99} ms,`,
    `${result.operations} done, ${result.errors} errors in ${result.seconds} s`,
    `(generator: ${result.generatorCpuSeconds} s of processor)`,
  ].join(' ');
}
