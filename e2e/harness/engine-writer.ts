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
import { hasCode, type Device } from '@dozo/base';
import { openEngine, type Engine } from '@dozo/engine';
import { openFileDevice, openSystemClock, readHostIdentity, SystemRandom } from '@dozo/platform';
import { SeededDraw } from './seeded-draw.ts';
import {
  isWholeValue,
  tagOfValue,
  valueOf,
  type WriterConfiguration,
  type WriterLine,
} from './writer-protocol.ts';

const STDOUT = 1;
const EXIT_ENDED = 1;
const ENDS = ['ENGINE_FAILED', 'ENGINE_FENCED', 'ENGINE_CLAIM_LOST', 'ENGINE_CLOSED'];
const KEYS_OF_BATCH_MAX = 3;
const DELETE_SHARE = 0.1;
/** Small values make small groups, and many of them; large ones fill a good part of a segment. */
const SMALL_BYTES_MAX = 2_000;
const LARGE_BYTES_MAX = 30_000;

const configuration = JSON.parse(process.argv[2] ?? '') as WriterConfiguration;
const draw = new SeededDraw(configuration.seed);
const load = { isPaused: false };
let workers: Promise<unknown> = Promise.resolve();
let batchCount = 0;

function tell(line: WriterLine): void {
  // Not through `process.stdout`, which keeps what a full pipe does not take: what was told is told,
  // whatever happens to this process next.
  writeSync(STDOUT, `${JSON.stringify(line)}\n`);
}

async function open(): Promise<Engine> {
  const { path, mode, switches } = configuration;
  const { pid, ...identity } = readHostIdentity();
  return openEngine({
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
async function work(engine: Engine, keys: readonly string[]): Promise<void> {
  while (!load.isPaused) {
    const count = draw.integer(1, KEYS_OF_BATCH_MAX + 1);
    const chosen = [
      ...new Set(Array.from({ length: count }, () => keys[draw.integer(0, keys.length)] ?? '')),
    ];
    batchCount += 1;
    const tag = `${configuration.name}.${batchCount}`;
    const isDelete = draw.fraction() < DELETE_SHARE;
    const isSmall = draw.fraction() >= configuration.largeShare;
    const sizeBytes = draw.integer(40, isSmall ? SMALL_BYTES_MAX : LARGE_BYTES_MAX);
    tell({ kind: 'submitted', tag, keys: chosen, isDelete });
    try {
      await engine.apply(
        chosen.map((key) =>
          isDelete
            ? { kind: 'delete', key: Buffer.from(key) }
            : { kind: 'put', key: Buffer.from(key), value: valueOf(key, tag, sizeBytes) },
        ),
      );
    } catch (error) {
      // What the engine ends with is told by whoever waits for that.
      if (ENDS.some((code) => hasCode(error, code))) return;
      throw error;
    }
    tell({ kind: 'acknowledged', tag, keys: chosen, isDelete });
  }
}

function go(engine: Engine): void {
  load.isPaused = false;
  const { keyCount, workerCount } = configuration;
  const ofWorker = Array.from({ length: workerCount }, (_, worker) =>
    Array.from({ length: keyCount }, (_, key) => key)
      .filter((key) => key % workerCount === worker)
      .map((key) => `key/${key}`),
  );
  workers = Promise.all(ofWorker.map((keys) => work(engine, keys)));
}

/** Everything that a reader sees, each value read and compared whole. */
async function read(engine: Engine): Promise<void> {
  const rows: [string, string][] = [];
  const broken: string[] = [];
  for await (const { key: keyBytes } of engine.scan({}, { values: false })) {
    const key = Buffer.from(keyBytes).toString();
    try {
      const value = (await engine.get(keyBytes))?.value;
      if (value === undefined) throw new Error('it is in the scan, and not there');
      rows.push([key, tagOfValue(value)]);
      if (!isWholeValue(key, value)) throw new Error('its bytes are not those that were written');
    } catch (error) {
      broken.push(`${key}: ${String(error)}`);
    }
  }
  tell({ kind: 'read', rows, broken, stats: engine.stats() });
}

async function obey(engine: Engine, command: string): Promise<void> {
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
      await read(engine);
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
void engine.ended.then(async (end) => {
  if (end.kind === 'closed') return;
  // Until nothing is written any more, and the slot says so if it may.
  await engine.close().catch(() => undefined);
  tell({ kind: 'ended', how: end.kind, reason: end.error.message });
  process.exit(EXIT_ENDED);
});
commands.on('line', (line) => void obey(engine, line));
