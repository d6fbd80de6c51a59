/**
 * A process that writes to a device through the engine alone, as fast as it can, with whatever layers
 * of the claim switched off. It is what the tests of the claim stop, continue and kill.
 *
 *     node engine-writer.ts '{"path": "/dev/loop0", ...}'
 *
 * It works on a fixed set of keys: puts, deletes, batches of several keys. Each value says which
 * process wrote it and in which order; the checker, which is not this process, compares. One JSON
 * document a line on standard output; `pause`, `read`, `go`, `verify` and `quit` on standard input.
 * Its last line says how the engine ended, unless it was killed.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode, type Device } from '@dozo/base';
import { openEngine, type Engine, type Entry } from '@dozo/engine';
import {
  boundProcessMemory,
  openFileDevice,
  openSystemClock,
  readHostIdentity,
  SystemRandom,
  WorkerCompute,
} from '@dozo/platform';
import { keysOfWorkers, WriterBatches } from './writer-batches.ts';
import {
  isWholeValue,
  tagOfValue,
  type WriterConfiguration,
  type WriterLine,
} from './writer-protocol.ts';

const STDOUT = 1;
/** How long a full pipe is left alone before the next try. */
const PIPE_FULL_MS = 1;
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));
const EXIT_ENDED = 1;
const ENDS = ['ENGINE_FAILED', 'ENGINE_FENCED', 'ENGINE_CLAIM_LOST', 'ENGINE_CLOSED'];
/** Nothing was written, and the engine goes on. */
const REJECTIONS = ['DEVICE_FULL', 'QUEUE_FULL'];

const configuration = JSON.parse(process.argv[2] ?? '') as WriterConfiguration;
const sources = keysOfWorkers(configuration).map(
  (keys, worker) => new WriterBatches(configuration, worker, keys),
);
const load = { isPaused: false };
let workers: Promise<unknown> = Promise.resolve();

function tell(line: WriterLine): void {
  // Not through `process.stdout`, which keeps what a full pipe does not take: what was told is told,
  // whatever happens to this process next.
  let left = Buffer.from(`${JSON.stringify(line)}\n`);
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(STDOUT, left));
    } catch (error) {
      // Whoever starts a thread makes the pipe one that does not wait.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(SLEEPER, 0, 0, PIPE_FULL_MS);
    }
  }
}

async function open(): Promise<Engine> {
  const { path, mode, switches, memory } = configuration;
  // Both as `dozo up` does.
  await boundProcessMemory();
  const compute = new WorkerCompute({
    onWorkerLost: (reason) => {
      process.stderr.write(`the thread that merges has ended: ${reason}\n`);
    },
  });
  const { pid, ...identity } = readHostIdentity();
  return openEngine({
    ...memory,
    compute,
    device: altered(await openFileDevice({ path, mode })),
    clock: await openSystemClock(),
    random: new SystemRandom(),
    holder: { ...identity, processId: pid, softwareVersion: 'engine-writer' },
    testSwitches: switches,
  });
}

/** The device with what the configuration changes about it. */
function altered(device: Device): Device {
  const changes: Partial<Device> = {
    ...(configuration.keepsCache === true ? { dropCache: () => Promise.resolve() } : {}),
    ...(configuration.diesAtFailure === true
      ? {
          writeDurably: (offset, buffers) =>
            device.writeDurably(offset, buffers).catch((error: unknown) => {
              process.kill(process.pid, 'SIGKILL');
              throw error;
            }),
        }
      : {}),
  };
  return new Proxy(device, {
    get: (target, name) => {
      const property: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof property === 'function' ? (property.bind(target) as unknown) : property;
    },
  });
}

/** One of several; each has keys of its own, so that their order is known. */
async function work(engine: Engine, batches: WriterBatches): Promise<void> {
  while (!load.isPaused) {
    const { told, operations } = batches.next();
    tell({ kind: 'submitted', ...told });
    try {
      await engine.apply(operations);
    } catch (error) {
      // What the engine ends with is told by whoever waits for that.
      if (ENDS.some((code) => hasCode(error, code))) return;
      if (!REJECTIONS.some((code) => hasCode(error, code))) throw error;
      tell({ kind: 'rejected', ...told });
      await nextTurn();
      continue;
    }
    tell({ kind: 'acknowledged', ...told });
    // Whoever is answered before the write must give the write a turn.
    if (configuration.switches.acknowledgeBeforeWrite === true) await nextTurn();
  }
}

function go(engine: Engine): void {
  load.isPaused = false;
  workers = Promise.all(sources.map((batches) => work(engine, batches)));
}

/** Everything that a reader sees, each value read and compared whole. */
async function read(engine: Engine): Promise<void> {
  const answer = new Answer();
  for await (const { key } of engine.scan({}, { values: false })) {
    const entry = await engine.get(key).catch((error: unknown) => error as Error);
    answer.add(Buffer.from(key).toString(), entry ?? new Error('it is in the scan, and not there'));
  }
  answer.tell(engine);
}

/** What a reader sees who asks for keys by name; half of them in a scan that begins at the key. */
async function readSome(engine: Engine, keys: readonly string[]): Promise<void> {
  const answer = new Answer();
  for (const [index, key] of keys.entries()) {
    const from = Buffer.from(key);
    const entry =
      index % 2 === 0
        ? await engine.get(from).catch((error: unknown) => error as Error)
        : await firstFrom(engine, from).catch((error: unknown) => error as Error);
    if (entry !== undefined) answer.add(key, entry);
  }
  answer.tell(engine);
}

/** The value of a key, found as the first row of a scan. */
async function firstFrom(engine: Engine, from: Buffer): Promise<Entry | undefined> {
  for await (const { key, value, ...info } of engine.scan({ from }, { limit: 1 })) {
    if (value !== undefined && from.equals(key)) return { ...info, value };
  }
  return undefined;
}

/** What was read, on its way to the checker. */
class Answer {
  readonly #rows: [string, string][] = [];
  readonly #broken: string[] = [];

  add(key: string, entry: Entry | Error): void {
    if (entry instanceof Error) {
      this.#broken.push(`${key}: ${entry.message}`);
      return;
    }
    this.#rows.push([key, tagOfValue(entry.value)]);
    if (!isWholeValue(key, entry.value)) {
      this.#broken.push(`${key}: its bytes are not those that were written`);
    }
  }

  tell(engine: Engine): void {
    tell({ kind: 'read', rows: this.#rows, broken: this.#broken, stats: engine.stats() });
  }
}

async function obey(engine: Engine, line: string): Promise<void> {
  const [command = '', ...rest] = line.split(' ');
  switch (command) {
    case 'go':
      go(engine);
      return;
    case 'pause':
      load.isPaused = true;
      await workers;
      tell({ kind: 'paused' });
      return;
    case 'read':
      if (rest.length === 0) await read(engine);
      else await readSome(engine, JSON.parse(rest.join(' ')) as string[]);
      return;
    case 'verify': {
      const { damages } = await engine.verify();
      tell({
        kind: 'verified',
        damages: damages.map(({ offset, reason }) => `${offset}: ${reason}`),
      });
      return;
    }
    case 'quit':
      load.isPaused = true;
      await workers;
      await engine.close();
      process.exit(0);
  }
}

// Listened to from the start: it keeps the process alive while nothing else does.
const commands = createInterface({ input: process.stdin });
const engine = await open().catch((error: unknown) => {
  tell({ kind: 'refused', reason: String(error) });
  process.exit(EXIT_ENDED);
});
tell({ kind: 'opened' });
if (configuration.statsIntervalMs !== undefined) {
  setInterval(() => tell({ kind: 'stats', stats: engine.stats() }), configuration.statsIntervalMs);
}
void engine.ended.then(async (end) => {
  if (end.kind === 'closed') return;
  // Until nothing is written any more, and the slot says so if it may.
  await engine.close().catch(() => undefined);
  tell({ kind: 'ended', how: end.kind, reason: end.error.message });
  process.exit(EXIT_ENDED);
});
commands.on('line', (line) => void obey(engine, line));
