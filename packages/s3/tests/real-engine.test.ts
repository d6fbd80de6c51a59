/**
 * The store on the real engine on a simulated disk that loses, tears and reorders what was not flushed:
 * a storm of writers, the power goes, and after the restart every acknowledged object is there, every
 * other one is as before or as it was to be, and the collector brings everything to rest.
 */
import { SeededRandom } from '@dozo/base';
import { formatDevice, openEngine } from '@dozo/engine';
import type { Engine } from '@dozo/engine';
import { PlacementGroup } from '@dozo/osd';
import { SimulatedClock, SimulatedDevice, SimulatedMedium } from '@dozo/simulator';
import { describe, expect, it } from 'vitest';
import { hop } from './faulty-store.ts';
import { checkStore } from './store-checker.ts';
import { bodyOf, completeUpload, HEADERS, putObject, putPart, World } from './store-world.ts';
import type { Process } from './store-world.ts';

const KIB = 1024;
const HOLDER = { host: 'test', bootId: 'boot', processId: 1, softwareVersion: '0.1.0' };
const WRITERS = 4;
const SEEDS = 25;

interface Running {
  readonly world: World;
  readonly medium: SimulatedMedium;
  readonly engine: Engine;
}

async function open(seed: string, medium: SimulatedMedium, format: boolean): Promise<Running> {
  const clock = new SimulatedClock({ seed });
  const random = new SeededRandom(seed);
  const device = new SimulatedDevice(medium, { clock, seed, alignmentBytes: 1 });
  if (format) {
    // Nobody else is there, so nothing is waited for.
    const options = { segmentPayloadBytes: 64 * KIB, ringSlotCount: 8, isLocal: true };
    await formatDevice({ device, clock, random, ...options });
  }
  const engine = await openEngine({ device, clock, random, holder: HOLDER });
  return { world: new World(seed, new PlacementGroup({ engine }), clock), medium, engine };
}

/** What each key may hold: what was acknowledged last, and what was being done to it since. */
type Ledger = Map<string, { acknowledged: string | undefined; pending: string | undefined }>;

/** Of a storm. */
class State {
  #isOver = false;
  acknowledgedCount = 0;

  isOver(): boolean {
    return this.#isOver;
  }

  end(): void {
    this.#isOver = true;
  }
}

/** One client: puts, replaces and deletes its own keys, one after the other, until it is told to stop. */
async function write(
  process: Process,
  writer: number,
  ledger: Ledger,
  state: State,
  random: SeededRandom,
): Promise<void> {
  for (let count = 0; !state.isOver(); count += 1) {
    const key = `writer ${String(writer)} key ${String(random.below(5))}`;
    const entry = ledger.get(key) ?? { acknowledged: undefined, pending: undefined };
    ledger.set(key, entry);
    const name = { bucket: 'bucket', key };
    const text = `${key} ${String(count)} `.repeat(random.pick([1, 20]));
    const kind = random.below(10);
    entry.pending = kind === 0 ? undefined : text;
    if (kind === 0) await process.s3.objects.delete(name, undefined);
    else if (kind === 1) {
      const uploadId = await process.s3.uploads.create(name, HEADERS, undefined);
      const etag = await putPart(process, { ...name, uploadId }, 1, text);
      await completeUpload(process, { ...name, uploadId }, [{ partNumber: 1, etag }]);
    } else await putObject(process, name, text);
    // What the old world still does after the power went was never acknowledged to anybody.
    if (state.isOver()) return;
    entry.acknowledged = entry.pending;
    state.acknowledgedCount += 1;
  }
}

describe('on the real engine', () => {
  it('a power cut in a storm of writers loses nothing acknowledged and leaves nothing half done', async () => {
    let acknowledgedCount = 0;
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const random = new SeededRandom(`storm ${String(seed)}`);
      const medium = new SimulatedMedium(8 * KIB * KIB);
      const before = await open(`before ${String(seed)}`, medium, true);
      const process = before.world.start();
      await process.s3.directory.create('bucket', 'owner');

      const ledger: Ledger = new Map();
      const state = new State();
      const writers = Array.from({ length: WRITERS }, (_, index) =>
        write(process, index, ledger, state, random.derive(String(index))),
      );
      await hop(before.world.clock, 100 + random.below(1500));
      const found = medium.crash(random);
      state.end();
      await Promise.all(writers);
      acknowledgedCount += state.acknowledgedCount;

      const after = await open(`after ${String(seed)}`, found, false);
      const reader = after.world.start();
      for (const [key, { acknowledged, pending }] of ledger) {
        const body = await bodyOf(reader, { bucket: 'bucket', key });
        expect([acknowledged, pending], `seed ${String(seed)} ${key}`).toContain(body);
      }
      await after.world.settle();
      const query = { bucket: 'bucket', prefix: '', delimiter: '', marker: '', rowsMax: 1000 };
      for (const row of (await reader.s3.listing.uploads(query, '')).rows) {
        await reader.s3.uploads.abort({ bucket: 'bucket', key: row.key, uploadId: row.uploadId });
      }
      await after.world.settle();
      expect(await checkStore(after.world.store), `seed ${String(seed)}`).toEqual([]);
      expect((await after.engine.verify()).damages).toEqual([]);
    }
    expect(acknowledgedCount).toBeGreaterThan(SEEDS * 10);
  });

  it('gives back what it was given after it was closed and opened again', async () => {
    const medium = new SimulatedMedium(8 * KIB * KIB);
    const before = await open('first', medium, true);
    const process = before.world.start();
    await process.s3.directory.create('bucket', 'owner');
    for (const key of ['a', 'b', 'c']) {
      await putObject(process, { bucket: 'bucket', key }, key.repeat(500));
    }
    await before.engine.close();
    const after = await open('second', medium.fork(), false);
    for (const key of ['a', 'b', 'c']) {
      expect(await bodyOf(after.world.start(), { bucket: 'bucket', key })).toBe(key.repeat(500));
    }
    expect(await checkStore(after.world.store)).toEqual([]);
  });
});
