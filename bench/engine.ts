/**
 * The figures of the engine beside those of other embedded stores, and beside a bare loop.
 *
 *     npm run bench:engine [-- --rounds 3 --keys 1000000 --only puts,reads,bare --stores dozo,lmdb]
 *     npm run bench:engine -- --full
 *
 * Absolute figures drift with the machine and with the hour; ratios within one run hold. Every store
 * works in a directory of one parent, in a process of its own for each job, and each put is flushed
 * before it is acknowledged. Each round runs all stores, beginning with another one each time; a figure
 * is the median of the rounds, a ratio the median of the rounds' ratios.
 *
 * - `puts`: 40-byte keys in random order; every entry is written once before it is measured.
 * - `reads`: `--keys` entries of 140 bytes, loaded once by each store, which then comes to rest, and read in
 *   every round.
 * - `bare`: one vectored write and flush on the same file: `engine-bare.ts`.
 *
 * Options: `--full` is 10,000,000 keys; `--gets N` how many are read at random; `--directory DIR` where
 * files are made; `--size-gib N` the file of `bare`; `--json` prints everything as the last line.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareWithBare } from './engine-bare.ts';
import { KEY_BYTES, type BenchJob, type BenchResult } from './engine-job.ts';
import { PUT_ROWS, READ_ROWS, type Phase, type PutRow } from './engine-rows.ts';
import { loadStore, STORE_NAMES, type StoreName } from './engine-stores.ts';
import { median, printTable, shown } from './engine-table.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const VALUE_BYTES = 100;
const CACHE_BYTES = 64 * MIB;
const FULL_KEYS = 10_000_000;
const SCAN_ROWS_MAX = 1_000_000;
/** A cache that everything fits, with what a store adds to an entry. */
const CACHED_FACTOR = 3;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'puts,reads,bare' },
    stores: { type: 'string', default: STORE_NAMES.join(',') },
    rounds: { type: 'string', default: '3' },
    keys: { type: 'string' },
    gets: { type: 'string', default: '200000' },
    full: { type: 'boolean', default: false },
    scale: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    directory: { type: 'string', default: tmpdir() },
    'size-gib': { type: 'string', default: '4' },
  },
});
const rounds = Number(values.rounds);
const keyCount = Number(values.keys ?? (values.full ? FULL_KEYS : 1_000_000));
const parts = values.only.split(',');
const program = join(import.meta.dirname, 'engine-process.ts');

/** Results by row and store, one for each round. */
type Results = Map<string, Map<StoreName, BenchResult[]>>;

const stores = await loadableStores();
const scratch = mkdtempSync(join(values.directory, 'dozo-bench-'));
// An interrupt ends the process that is measured; what it leaves is removed below.
process.on('SIGINT', () => undefined);
const document: Record<string, unknown> = { rounds, keyCount };
try {
  if (parts.includes('puts')) document['puts'] = showPuts(measurePuts());
  if (parts.includes('reads')) document['reads'] = showReads(measureReads());
  if (parts.includes('bare')) document['bare'] = await measureBare();
} finally {
  rmSync(scratch, { recursive: true });
}
if (values.json) console.log(JSON.stringify(document));

/** Those that were asked for and load; says loudly which do not. */
async function loadableStores(): Promise<StoreName[]> {
  const asked = STORE_NAMES.filter((name) => values.stores.split(',').includes(name));
  const loadable: StoreName[] = [];
  for (const name of asked) {
    try {
      await loadStore(name);
      loadable.push(name);
    } catch (error) {
      const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
      console.error(`*** WITHOUT ${name}: it does not load here (${why ?? ''}). ***`);
    }
  }
  return loadable;
}

function measurePuts(): Results {
  const results: Results = new Map();
  for (const row of PUT_ROWS) {
    for (let round = 0; round < rounds; round += 1) {
      for (const store of rotated(round)) {
        const directory = join(scratch, store);
        mkdirSync(directory);
        note(results, row.name, store, runJob(putJob(row, store, directory)));
        rmSync(directory, { recursive: true });
      }
    }
  }
  return results;
}

function putJob(row: PutRow, store: StoreName, directory: string): BenchJob {
  const { valueBytes, writers, batchSize } = row;
  const count = Math.ceil(row.count * Number(values.scale));
  return {
    ...{ store, directory, valueBytes, cacheBytes: CACHE_BYTES },
    dataBytes: count * (valueBytes + KEY_BYTES),
    task: { kind: 'put', writers, batchSize, count },
  };
}

function measureReads(): Results {
  const results: Results = new Map();
  for (const store of stores) {
    mkdirSync(join(scratch, store));
    note(results, 'load', store, runJob(readJob(store, 'load')));
    note(results, 'rest', store, runJob(readJob(store, 'rest')));
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const phase of ['tenth', 'cached', 'killed'] as const) {
      for (const store of rotated(round)) {
        if (phase === 'killed') runJob({ ...readJob(store, phase), task: dying() });
        note(results, phase, store, runJob(readJob(store, phase)));
      }
    }
  }
  for (const store of stores) rmSync(join(scratch, store), { recursive: true });
  return results;
}

function dying(): BenchJob['task'] {
  return { kind: 'die', count: keyCount };
}

function readJob(store: StoreName, phase: Phase): BenchJob {
  const dataBytes = keyCount * (VALUE_BYTES + KEY_BYTES);
  const cacheBytes = {
    load: CACHE_BYTES,
    rest: CACHE_BYTES,
    tenth: Math.ceil(dataBytes / 10),
    cached: dataBytes * CACHED_FACTOR,
    killed: CACHE_BYTES,
  }[phase];
  const task = readTask(phase);
  const directory = join(scratch, store);
  return { store, directory, dataBytes, valueBytes: VALUE_BYTES, cacheBytes, task };
}

function readTask(phase: Phase): BenchJob['task'] {
  if (phase === 'load') return { kind: 'load', count: keyCount };
  if (phase === 'rest') return { kind: 'rest' };
  return {
    ...{ kind: 'read', count: keyCount, isWarmed: phase === 'cached' },
    getCount: phase === 'killed' ? 0 : Number(values.gets),
    scanRows: phase === 'cached' ? Math.min(SCAN_ROWS_MAX, keyCount) : 0,
  };
}

/** Runs one job as a process of its own, which kills itself when it has told its figures. */
function runJob(job: BenchJob): BenchResult {
  const { stdout, stderr } = spawnSync(process.execPath, [program, JSON.stringify(job)], {
    encoding: 'utf8',
    maxBuffer: 16 * MIB,
  });
  const line = stdout.trim().split('\n').at(-1);
  if (line === undefined || !line.startsWith('{')) {
    throw new Error(`${job.store} did not finish "${job.task.kind}": ${stderr}`);
  }
  return JSON.parse(line) as BenchResult;
}

/** The stores, beginning with another one in each round. */
function rotated(round: number): StoreName[] {
  const first = round % stores.length;
  return [...stores.slice(first), ...stores.slice(0, first)];
}

function note(results: Results, row: string, store: StoreName, result: BenchResult): void {
  const ofRow = results.get(row) ?? new Map<StoreName, BenchResult[]>();
  results.set(row, ofRow.set(store, [...(ofRow.get(store) ?? []), result]));
  const figures = ['perSecond', 'loadPerSecond', 'getsPerSecond', 'firstGetMs'];
  const told = figures.flatMap((name) =>
    result[name] === undefined ? [] : [`${name} ${shown(result[name])}`],
  );
  console.error(`${row}, ${store}: ${told.join(', ')}`);
}

/** The figures of a row by store: one for each round. */
function figuresOf(
  results: Results,
  row: string,
  pick: (result: BenchResult) => number,
): Map<StoreName, number[]> {
  const ofRow = results.get(row) ?? new Map<StoreName, BenchResult[]>();
  return new Map([...ofRow].map(([store, ofStore]) => [store, ofStore.map(pick)]));
}

/** The engine over the best of some peers, round by round; not a number without either. */
function ratioOf(figures: Map<StoreName, number[]>, peers: readonly StoreName[]): number {
  const ours = figures.get('dozo') ?? [];
  const ratios = ours.map((figure, round) => {
    const theirs = peers.flatMap((peer) => figures.get(peer)?.[round] ?? []);
    return theirs.length === 0 ? Number.NaN : figure / Math.max(...theirs);
  });
  return median(ratios);
}

function peers(): StoreName[] {
  return stores.filter((name) => name !== 'dozo');
}

function showPuts(results: Results): unknown {
  const rows = PUT_ROWS.map((row) => {
    const rates = figuresOf(results, row.name, (result) => result['perSecond'] ?? Number.NaN);
    const p99s = figuresOf(results, row.name, (result) => result['p99Ms'] ?? Number.NaN);
    const cells = stores.map((store) => {
      const [rate, p99] = [rates, p99s].map((of) => shown(median(of.get(store) ?? [])));
      return `${rate ?? ''} (${p99 ?? ''} ms)`;
    });
    return [row.name, ...cells, shown(ratioOf(rates, peers())), `${row.goal}`];
  });
  console.log(`\nEntries written a second, and p99 of a batch (median of ${rounds} rounds)`);
  printTable([['', ...stores, 'dozo over fastest peer', 'goal'], ...rows]);
  return plain(results);
}

function showReads(results: Results): unknown {
  const dataBytes = keyCount * (VALUE_BYTES + KEY_BYTES);
  const rows = READ_ROWS.map((row) => {
    const figures = figuresOf(results, row.phase, (result) => row.pick(result, dataBytes));
    const cells = stores.map((store) => shown(median(figures.get(store) ?? [])));
    const ratio = row.isRate ? shown(ratioOf(figures, ['lmdb'])) : '';
    return [row.name, ...cells, ratio, row.goal ?? ''];
  });
  console.log(
    `\n${keyCount.toLocaleString('en')} entries of 40 and 100 bytes, ${Math.round(dataBytes / MIB)} MiB`,
  );
  printTable([['', ...stores, 'dozo over lmdb', 'goal'], ...rows]);
  return plain(results);
}

function plain(results: Results): unknown {
  return Object.fromEntries([...results].map(([row, ofRow]) => [row, Object.fromEntries(ofRow)]));
}

async function measureBare(): Promise<unknown> {
  const sizeBytes = Number(values['size-gib']) * GIB;
  const { figures, reads } = await compareWithBare({ directory: scratch, sizeBytes, rounds });
  console.table(figures);
  console.table(reads);
  return { sizeBytes, figures, reads };
}
