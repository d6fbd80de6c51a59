/**
 * Compares ways to compact, without a device: how many bytes are written for each byte that is flushed,
 * how many are kept for each that is live, how large jobs are, and how many runs a read may have to ask.
 *
 *     npm run bench:compaction
 *
 * Tables are lists of numbers. The leveled policy is the engine's own picker with the engine's versions;
 * the tiered ones are written here, and merge whole runs: that they need as much free space as their
 * largest run is part of the comparison. Loads: `unique`, random keys that are never written again;
 * `overwrite`, the same keys again and again, uniformly, measured once that is steady.
 */
import { SeededRandom } from '@dozo/base';
import { flushCuts, outputCuts } from '../packages/engine/src/tree/compaction-cuts.ts';
import {
  CompactionPicker,
  compactionSettingsOf,
} from '../packages/engine/src/tree/compaction-picker.ts';
import type { CompactionSettings } from '../packages/engine/src/tree/compaction-picker.ts';
import { Version } from '../packages/engine/src/tree/version.ts';
import type { TableMeta } from '../packages/engine/src/table/table-meta.ts';

/** Entries of a table of 4 MiB: few, as only the proportions count. */
const TABLE_KEYS = 256;
const TABLE_BYTES = 4 * 2 ** 20;
const KEY_BYTES = TABLE_BYTES / TABLE_KEYS;
/** Tables of one flush: 32 MiB. */
const FLUSH_TABLES = 8;
const FLUSH_KEYS = FLUSH_TABLES * TABLE_KEYS;
const FLUSHES = 150;
const KEY_SPACE = 2 ** 30;
/** For overwrites: live keys, as a count of flushes, and flushes that are measured after the filling. */
const LIVE_FLUSHES = 60;

type Keys = Float64Array;

/** What a policy under test tells. */
interface Policy {
  readonly name: string;
  flush(keys: Keys): void;
  readonly storedKeys: number;
  readonly runs: number;
  readonly figures: Figures;
}

interface Figures {
  flushedKeys: number;
  rewrittenKeys: number;
  jobs: number;
  jobKeysMax: number;
}

function newFigures(): Figures {
  return { flushedKeys: 0, rewrittenKeys: 0, jobs: 0, jobKeysMax: 0 };
}

function count(figures: Figures, outputKeys: number): void {
  figures.rewrittenKeys += outputKeys;
  figures.jobs++;
  figures.jobKeysMax = Math.max(figures.jobKeysMax, outputKeys);
}

/** The keys of some lists without doubles. */
function merged(lists: readonly Keys[]): Keys {
  let total = 0;
  for (const list of lists) total += list.length;
  const all = new Float64Array(total);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  all.sort();
  let length = 0;
  for (const key of all) {
    if (length === 0 || all[length - 1] !== key) all[length++] = key;
  }
  return all.slice(0, length);
}

function nameOf(key: number): string {
  return String(key).padStart(10, '0');
}

/** The key of a cut: between two keys where the cut is the end of a table. */
function keyOf(cut: string): number {
  return Number(cut.slice(0, 10)) + (cut.length > 10 ? 0.5 : 0);
}

/** The engine's picker. */
class Leveled implements Policy {
  readonly name: string;
  readonly figures = newFigures();
  readonly #settings: CompactionSettings;
  readonly #picker: CompactionPicker;
  readonly #hasCuts: boolean;
  readonly #keysOf = new Map<number, Keys>();
  #version = Version.empty();
  #number = 0;

  constructor(name: string, settings: CompactionSettings, hasCuts: boolean) {
    this.name = name;
    this.#settings = settings;
    this.#picker = new CompactionPicker(settings);
    this.#hasCuts = hasCuts;
  }

  get storedKeys(): number {
    return this.#version.sizeBytes / KEY_BYTES;
  }

  get runs(): number {
    return this.#version.runs.length;
  }

  get shape(): string {
    const { levels, sizeBytes, tableCount } = this.#version;
    const sizesMiB = levels.map((level) => Math.round(level.sizeBytes / 2 ** 20));
    return `${(sizeBytes / tableCount / 2 ** 20).toFixed(1).padStart(5)}  ${sizesMiB.join(' ')}`;
  }

  flush(keys: Keys): void {
    const cuts = this.#hasCuts ? flushCuts(this.#version, this.#settings).map(keyOf) : [];
    const tables = this.#tablesOf(keys, cuts);
    this.figures.flushedKeys += keys.length;
    this.#version = this.#version.withChange({ add: [{ level: 0, tables }], remove: [] });
    for (;;) {
      const job = this.#picker.pick(this.#version);
      if (job === undefined) return;
      const inputs = job.inputs.flatMap((input) => input.tables);
      const remove = inputs.map((table) => table.number);
      let output: TableMeta[] = inputs.toSorted((a, b) => (a.smallest < b.smallest ? -1 : 1));
      if (!job.isMove) {
        const result = merged(inputs.map((table) => this.#keysOf.get(table.number) as Keys));
        count(this.figures, result.length);
        for (const number of remove) this.#keysOf.delete(number);
        const cuts = this.#hasCuts ? outputCuts(this.#version, job, this.#settings) : [];
        output = this.#tablesOf(result, cuts.map(keyOf));
      }
      const add = [{ level: job.outputLevel, tables: output }];
      this.#version = this.#version.withChange({ add: [], remove }).withChange({ add, remove: [] });
    }
  }

  #tablesOf(keys: Keys, cuts: readonly number[]): TableMeta[] {
    const tables: TableMeta[] = [];
    let start = 0;
    for (const cut of [...cuts, Number.POSITIVE_INFINITY]) {
      let end = start;
      while (end < keys.length && (keys[end] as number) < cut) end++;
      // Tables of about the same size, and not a short one at the end.
      const tableCount = Math.max(1, Math.round((end - start) / TABLE_KEYS));
      for (let part = 0; part < tableCount; part++) {
        const from = start + Math.floor(((end - start) * part) / tableCount);
        const to = start + Math.floor(((end - start) * (part + 1)) / tableCount);
        if (to > from) tables.push(this.#table(keys.slice(from, to)));
      }
      start = end;
    }
    return tables;
  }

  #table(keys: Keys): TableMeta {
    const number = this.#number++;
    this.#keysOf.set(number, keys);
    const place = { offset: 0, sizeBytes: 0 };
    return {
      ...{ number, segment: 0, ordinal: 0, offset: 0, seed: 0, sizeBytes: keys.length * KEY_BYTES },
      ...{ filter: place, ranges: undefined, index: place, entryCount: keys.length },
      ...{ deleteCount: 0, pointerCount: 0, rangeCount: 0, dataBytes: 0, lsnMax: 0 },
      smallest: nameOf(keys[0] as number),
      end: `${nameOf(keys.at(-1) as number)}\0`,
    };
  }
}

/** Runs of similar size are merged when there are `width` of them: what Cassandra calls size-tiered. */
class Tiered implements Policy {
  readonly name: string;
  readonly figures = newFigures();
  readonly #width: number;
  readonly #tiers: Keys[][] = [];

  constructor(width: number) {
    this.name = `tiered, ${String(width)} runs a tier`;
    this.#width = width;
  }

  get storedKeys(): number {
    return this.#tiers.flat().reduce((sum, run) => sum + run.length, 0);
  }

  get runs(): number {
    return this.#tiers.flat().length;
  }

  flush(keys: Keys): void {
    this.figures.flushedKeys += keys.length;
    let run = keys;
    for (let tier = 0; ; tier++) {
      const runs = (this.#tiers[tier] ??= []);
      runs.push(run);
      if (runs.length < this.#width) return;
      run = merged(runs);
      count(this.figures, run.length);
      this.#tiers[tier] = [];
    }
  }
}

/** Tiers above, and one last run into which they go when together they are a part of it. */
class LazyLeveled implements Policy {
  readonly name: string;
  readonly figures = newFigures();
  readonly #tiers: Keys[][] = [];
  readonly #width: number;
  readonly #part: number;
  #last: Keys = new Float64Array(0);

  constructor(width: number, part: number) {
    this.name = `lazy leveled, ${String(width)} runs a tier, 1/${String(1 / part)} above`;
    this.#width = width;
    this.#part = part;
  }

  get storedKeys(): number {
    return this.#tiers.flat().reduce((sum, run) => sum + run.length, this.#last.length);
  }

  get runs(): number {
    return this.#tiers.flat().length + 1;
  }

  flush(keys: Keys): void {
    this.figures.flushedKeys += keys.length;
    let run = keys;
    for (let tier = 0; ; tier++) {
      const runs = (this.#tiers[tier] ??= []);
      runs.push(run);
      if (runs.length < this.#width) break;
      run = merged(runs);
      count(this.figures, run.length);
      this.#tiers[tier] = [];
    }
    const upperKeys = this.storedKeys - this.#last.length;
    if (upperKeys < Math.max(4 * FLUSH_KEYS, this.#last.length * this.#part)) return;
    this.#last = merged([...this.#tiers.flat(), this.#last]);
    this.#tiers.length = 0;
    count(this.figures, this.#last.length);
  }
}

function settingsOf(changes: Partial<CompactionSettings>): CompactionSettings {
  return { ...compactionSettingsOf(TABLE_BYTES, FLUSH_TABLES * TABLE_BYTES), ...changes };
}

const POLICIES: readonly (() => Policy)[] = [
  () => new Leveled('leveled as it is: fanout 10, 4 flushes', settingsOf({}), true),
  () => new Leveled('the same, tables not cut where slices end', settingsOf({}), false),
  () => new Leveled('leveled, fanout 8, 4 flushes', settingsOf({ fanout: 8 }), true),
  () => new Leveled('leveled, fanout 6, 4 flushes', settingsOf({ fanout: 6 }), true),
  () =>
    new Leveled(
      'leveled, fanout 10, 2 flushes',
      settingsOf({ levelZeroBytes: 2 * FLUSH_TABLES * TABLE_BYTES }),
      true,
    ),
  () =>
    new Leveled(
      'leveled, fanout 10, 8 flushes',
      settingsOf({ levelZeroBytes: 8 * FLUSH_TABLES * TABLE_BYTES, levelZeroRunsMax: 24 }),
      true,
    ),
  () => new Tiered(4),
  () => new Tiered(8),
  () => new LazyLeveled(4, 1 / 5),
  () => new LazyLeveled(4, 1 / 10),
];

function uniqueKeys(random: SeededRandom): Keys {
  const keys = new Float64Array(FLUSH_KEYS);
  for (let at = 0; at < keys.length; at++) keys[at] = random.below(KEY_SPACE);
  return merged([keys]);
}

function overwrittenKeys(random: SeededRandom): Keys {
  const liveKeys = LIVE_FLUSHES * FLUSH_KEYS;
  const keys = new Float64Array(FLUSH_KEYS);
  const step = Math.floor(KEY_SPACE / liveKeys);
  for (let at = 0; at < keys.length; at++) keys[at] = random.below(liveKeys) * step;
  return merged([keys]);
}

/** One load on one policy, as a line of the table. */
function run(policy: Policy, load: 'unique' | 'overwrite'): string {
  const random = new SeededRandom(load);
  const seen = new Set<number>();
  let runsMax = 0;
  let spaceMax = 0;
  let spaceSum = 0;
  let start = { ...policy.figures };
  const fillFlushes = load === 'unique' ? 0 : 3 * LIVE_FLUSHES;
  for (let flush = 0; flush < fillFlushes + FLUSHES; flush++) {
    if (flush === fillFlushes) start = { ...policy.figures };
    const keys = load === 'unique' ? uniqueKeys(random) : overwrittenKeys(random);
    for (const key of keys) seen.add(key);
    policy.flush(keys);
    if (flush < fillFlushes) continue;
    const space = policy.storedKeys / seen.size;
    spaceSum += space;
    spaceMax = Math.max(spaceMax, space);
    runsMax = Math.max(runsMax, policy.runs);
  }
  const { figures } = policy;
  const flushed = figures.flushedKeys - start.flushedKeys;
  const writes = 1 + (figures.rewrittenKeys - start.rewrittenKeys) / flushed;
  const jobMiB = (figures.jobKeysMax * KEY_BYTES) / 2 ** 20;
  const shape = policy instanceof Leveled ? policy.shape : '';
  return [
    load.padEnd(9),
    policy.name.padEnd(44),
    writes.toFixed(1).padStart(6),
    (spaceSum / FLUSHES).toFixed(2).padStart(6),
    spaceMax.toFixed(2).padStart(6),
    Math.round(jobMiB).toString().padStart(6),
    (figures.jobs - start.jobs).toString().padStart(6),
    runsMax.toString().padStart(5),
    shape,
  ].join(' ');
}

process.stdout.write(
  `${'load'.padEnd(9)} ${'policy'.padEnd(44)} writes  space    max jobMiB   jobs  runs table  MiB of levels\n`,
);
for (const load of ['unique', 'overwrite'] as const) {
  for (const make of POLICIES) process.stdout.write(`${run(make(), load)}\n`);
}
