/** What becomes of a holder that slept, of what it left, and of those who come after it. */
import { SeededRandom, binaryStringOf, hasCode } from '@dozo/base';
import { PageCache, SimulatedClock, SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { formatDevice, inspectDevice, openEngine, openReadOnly, scanZombie } from '../src/index.ts';
import type { Engine, OpenOptions } from '../src/index.ts';
import { readManifestOf } from '../src/recovery.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import {
  HOLDER,
  KIB,
  bytes,
  formattedMedium,
  mediumFor,
  newWorld,
  openOn,
} from './simulated-engine.ts';

const TIMES = { beatIntervalMs: 100, leaseMs: 400 };
const SIZES = { segmentPayloadBytes: 64 * KIB, ringSlotCount: 8 };
/** Whose clocks and locks are off: what it writes, only the layout makes harmless. */
const BLIND = { claimSwitches: { skipBeats: true, skipLeaseCheck: true } };

interface Started {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly process: SimulatedProcess;
}

interface StartOptions extends Partial<OpenOptions> {
  readonly cache?: PageCache;
  readonly cachedReadShare?: number;
}

/** One disk that two hosts reach, each by a path of its own. */
class Machines {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly medium: SimulatedMedium;
  readonly #seed: string;
  #startCount = 0;

  constructor(seed: string, segmentCount = 24) {
    this.#seed = seed;
    this.clock = new SimulatedClock({ seed });
    this.random = new SeededRandom(seed);
    this.medium = mediumFor({ segmentCount, ...SIZES });
  }

  static async formatted(seed: string, segmentCount?: number): Promise<Machines> {
    const machines = new Machines(seed, segmentCount);
    const { clock, random } = machines;
    const device = new SimulatedDevice(machines.medium, { clock, seed: 'format' });
    await formatDevice({ device, clock, random, ...SIZES, ...TIMES });
    await device.close();
    return machines;
  }

  /** A process on a host that opens the engine; `undefined` as engine when that is refused. */
  begin(
    host: string,
    options: StartOptions = {},
  ): { opening: Promise<Engine> } & Omit<Started, 'engine'> {
    const { cache = new PageCache({ lockName: host }), cachedReadShare = 0, ...open } = options;
    const process = new SimulatedProcess(this.clock);
    const seed = `${this.#seed}/${this.#startCount++}`;
    const device = new SimulatedDevice(this.medium, {
      clock: this.clock,
      seed,
      process,
      cache,
      cachedReadShare,
      access: 'unlocked',
    });
    const holder = { ...HOLDER, host, bootId: `boot of ${host}` };
    const random = new SeededRandom(seed);
    return {
      opening: openEngine({ device, clock: process, random, holder, ...open }),
      device,
      process,
    };
  }

  readonly start = async (host: string, options: StartOptions = {}): Promise<Started> => {
    const { opening, device, process } = this.begin(host, options);
    return { engine: await this.until(opening), device, process };
  };

  readonly until = <Result>(work: Promise<Result>): Promise<Result> => this.clock.runUntil(work);

  readonly reader = (): SimulatedDevice => {
    const { clock, medium } = this;
    return new SimulatedDevice(medium, { clock, seed: 'reader', access: 'read-only' });
  };
}

function put(engine: Engine, key: string, value: Uint8Array): Promise<unknown> {
  return engine.apply([{ kind: 'put', key: bytes(key), value }]);
}

async function contentOf(engine: Engine): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const { key, value } of engine.scan({})) {
    found.set(binaryStringOf(key), value?.length ?? 0);
  }
  return found;
}

/** A holder under load is stopped, and another host takes over. */
async function takenOver(seed: string): Promise<Machines & { a: Started; b: Started }> {
  const machines = await Machines.formatted(seed);
  const a = await machines.start('alpha');
  for (let index = 0; index < 20; index++) {
    await machines.until(put(a.engine, `old/${String(index)}`, machines.random.bytes(900)));
  }
  a.process.pause();
  const b = await machines.start('beta');
  return Object.assign(machines, { a, b });
}

describe('a holder that slept through its lease', () => {
  test('writes nothing more, shows nothing more, says who has the device, and stops', async () => {
    const { clock, a, b, reader, until } = await takenOver('slept');
    expect(b.engine.stats().quarantinedClaims).toMatchObject([{ host: 'alpha' }]);
    await until(put(b.engine, 'old/1', bytes('changed')));
    a.process.resume();
    const writing = put(a.engine, 'late', bytes('late'));
    const reading = a.engine.get(bytes('old/1'));
    const scanning = contentOf(a.engine);
    const refused = { code: 'ENGINE_FENCED', detail: { holder: { holder: { host: 'beta' } } } };
    await expect(until(writing)).rejects.toMatchObject(refused);
    await expect(until(reading)).rejects.toMatchObject(refused);
    await expect(until(scanning)).rejects.toMatchObject(refused);
    await expect(a.engine.ended).resolves.toMatchObject({ kind: 'fenced', error: refused });
    expect(a.engine.stats().state).toBe('fenced');
    expect(() => a.engine.snapshot()).toThrow(/beta.*dozo forensics/s);
    await expect(a.engine.apply([{ kind: 'delete', key: bytes('x') }])).rejects.toMatchObject({
      ...refused,
      detail: { isOutcomeKnown: true },
    });
    await until(a.engine.close());
    const { claims } = await inspectDevice(reader());
    expect(claims.map(({ state }) => state)).toEqual(['held', 'stopped']);
    const writtenCount = a.device.counts().writes;
    await clock.advance(2000);
    expect(a.device.counts().writes).toBe(writtenCount);
  });

  test('of what it had under way nobody knows, and it says so', async () => {
    const machines = await Machines.formatted('under way');
    const a = await machines.start('alpha');
    const writing = put(a.engine, 'late', bytes('late'));
    const { writes } = a.device.counts();
    while (a.device.counts().writes === writes) await Promise.resolve();
    a.process.pause();
    const b = await machines.start('beta');
    a.process.resume();
    await expect(machines.until(writing)).rejects.toMatchObject({
      code: 'ENGINE_FENCED',
      detail: { isOutcomeKnown: false },
    });
    await machines.until(a.engine.close());
    expect(b.engine.stats().state).toBe('open');
  });

  test('goes on after a beat when nobody has come meanwhile', async () => {
    const { clock, until, start } = await Machines.formatted('nobody came');
    const a = await start('alpha');
    await until(put(a.engine, 'a', bytes('b')));
    a.process.pause();
    await clock.advance(3000);
    a.process.resume();
    expect((await until(a.engine.get(bytes('a'))))?.value).toEqual(bytes('b'));
    await until(put(a.engine, 'c', bytes('d')));
    expect(a.engine.stats().state).toBe('open');
  });

  test('asks for its lease before it shows anything; without that it shows what is long changed', async () => {
    for (const isAsked of [true, false]) {
      const { until, start } = await Machines.formatted('old data');
      const claimSwitches = { skipLeaseCheck: !isAsked };
      const a = await start('alpha', { testSwitches: { claimSwitches } });
      await until(put(a.engine, 'a', bytes('old')));
      a.process.pause();
      const b = await start('beta');
      await until(put(b.engine, 'a', bytes('new')));
      // It was asked before it was stopped, so to say: the request waits in its socket.
      const reading = a.engine.get(bytes('a'));
      a.process.resume();
      if (isAsked) await expect(until(reading)).rejects.toMatchObject({ code: 'ENGINE_FENCED' });
      else expect((await until(reading))?.value).toEqual(bytes('old'));
    }
  });
});

test('a holder that cannot look at the ring any more has lost the device', async () => {
  const { clock, until, start } = await Machines.formatted('lost');
  const a = await start('alpha');
  await until(put(a.engine, 'a', bytes('b')));
  a.device.inject({ kind: 'read', after: 0, effect: 'fail' });
  await clock.advance(1000);
  await expect(a.engine.ended).resolves.toMatchObject({ kind: 'lost' });
  await expect(put(a.engine, 'c', bytes('d'))).rejects.toMatchObject({ code: 'ENGINE_CLAIM_LOST' });
  await until(a.engine.close());
});

describe('a quarantine', () => {
  test('ends when the process shows that it stopped; the note stays, the space comes back', async () => {
    const { clock, a, b, until, start, medium } = await takenOver('released');
    const before = b.engine.stats();
    expect(before.quarantinedSegmentCount).toBeGreaterThan(1);
    a.process.resume();
    await until(a.engine.ended);
    await until(a.engine.close());
    await clock.advance(1000);
    const after = b.engine.stats();
    expect(after).toMatchObject({ quarantinedSegmentCount: 0, quarantinedClaims: [] });
    expect(after.usableBytes).toBeGreaterThan(before.usableBytes);
    expect(after.availableBytes).toBeGreaterThan(before.availableBytes);
    // Many manifests later, and after a restart, it is still known what happened.
    for (let index = 0; index < 300; index++) {
      await until(put(b.engine, `new/${String(index % 40)}`, bytes('x'.repeat(3000))));
    }
    await until(b.engine.close());
    const c = await start('gamma');
    expect(c.engine.stats().quarantinedSegmentCount).toBe(0);
    expect((await c.engine.verify()).damages).toEqual([]);
    const readOnly = await openReadOnly(
      new SimulatedDevice(medium, { clock, seed: 1, access: 'read-only' }),
    );
    expect(readOnly.history).toMatchObject({
      fences: [],
      notes: [{ host: 'alpha', proof: 'stopped', by: { incarnation: 2 } }],
    });
  });

  test('what a zombie wrote is found past its fence, and noted when an operator says it is dead', async () => {
    const machines = await Machines.formatted('noted');
    const { until, start, reader } = machines;
    const a = await start('alpha', { testSwitches: BLIND });
    await until(put(a.engine, 'before', bytes('counts')));
    const b = await start('beta');
    for (let index = 0; index < 7; index++) {
      await until(put(a.engine, `zombie/${String(index)}${'.'.repeat(80)}`, bytes('harmless')));
    }
    const { superblock } = await inspectDevice(reader());
    const seen = await openReadOnly(reader());
    const [fence] = seen.history.fences;
    if (fence === undefined) throw new Error('A has a fence');
    expect(fence).toMatchObject({ host: 'alpha', ordinal: 1, by: { incarnation: 2 } });
    const findings = await scanZombie({ device: reader(), superblock, fence });
    expect(findings).toMatchObject({ groupCount: 7, recordCount: 7, bytes: 7 * 4096 });
    expect(findings.keys.map((key) => key.length)).toEqual([64, 64, 64, 64]);
    expect(findings.firstWallMs).toBeLessThan(findings.lastWallMs);
    b.process.kill();
    const c = await start('gamma', { deadByWord: () => true });
    await machines.clock.advance(500);
    expect(c.engine.stats()).toMatchObject({ quarantinedSegmentCount: 0, keyCount: 1 });
    const { history } = await openReadOnly(reader());
    expect(history.notes).toMatchObject([{ host: 'alpha', proof: 'operator', ...findings }]);
  });

  test('a range delete counts among what a zombie wrote, also where it wrote nothing else', async () => {
    const { until, start, reader } = await Machines.formatted('range');
    const a = await start('alpha', { testSwitches: BLIND });
    await until(put(a.engine, 'before', bytes('counts')));
    await start('beta');
    const late = { kind: 'delete-range', from: bytes('a'), to: bytes('z') } as const;
    await until(a.engine.apply([late]));
    const { superblock } = await inspectDevice(reader());
    const [fence] = (await openReadOnly(reader())).history.fences;
    if (fence === undefined) throw new Error('A has a fence');
    const findings = await scanZombie({ device: reader(), superblock, fence });
    expect(findings).toMatchObject({ groupCount: 1, recordCount: 1, keys: [bytes('a')] });
  });

  test('is honest about space: what is accepted finds room, and deletes work', async () => {
    for (const sizeBytes of [700, 9000]) {
      const { until, start, random } = await Machines.formatted('full', 20);
      const a = await start('alpha', { testSwitches: BLIND });
      await until(put(a.engine, 'a', bytes('b')));
      a.process.kill();
      const b = await start('beta');
      expect(b.engine.stats().quarantinedSegmentCount).toBeGreaterThan(1);
      let count = 0;
      for (; ; count++) {
        const { availableBytes } = b.engine.stats();
        try {
          await until(put(b.engine, `k${String(count)}`, random.bytes(sizeBytes)));
        } catch (error) {
          expect(hasCode(error, 'DEVICE_FULL')).toBe(true);
          // Refused because the figure said so, not later.
          expect(availableBytes).toBeLessThan(sizeBytes + 500);
          break;
        }
      }
      for (let index = 0; index < count; index += 2) {
        await until(b.engine.apply([{ kind: 'delete', key: bytes(`k${String(index)}`) }]));
      }
      for (let index = 0; index < count / 4; index++) {
        await until(put(b.engine, `again${String(index)}`, random.bytes(sizeBytes)));
      }
      expect((await until(b.engine.verify())).damages).toEqual([]);
    }
  });

  test('ends at the next start too when there was no time to look at what was written', async () => {
    const { until, start, reader, clock } = await Machines.formatted('no time');
    const a = await start('alpha', { testSwitches: BLIND });
    const b = await start('beta');
    await until(put(a.engine, 'zombie', bytes('harmless')));
    // B dies before it could notice that A has stopped.
    b.process.kill();
    a.process.kill();
    const c = await start('gamma', { deadByWord: ({ holder }) => holder.host === 'alpha' });
    // Dead by word, and so is C before it has noted anything; the fence is in its manifest.
    c.process.kill();
    const d = await start('delta', { deadByWord: () => true });
    await clock.advance(500);
    expect(d.engine.stats()).toMatchObject({ quarantinedSegmentCount: 0, keyCount: 0 });
    const { history } = await openReadOnly(reader());
    expect(history.notes.map(({ host, recordCount }) => [host, recordCount])).toContainEqual([
      'alpha',
      1,
    ]);
  });
});

test('of two who open in the same instant one serves, and what it is given is kept', async () => {
  let bothStoodCount = 0;
  for (let seed = 0; seed < 40; seed++) {
    const machines = await Machines.formatted(`instant ${String(seed)}`);
    const { until, random, clock } = machines;
    const claimSwitches =
      seed % 2 === 0 ? {} : { skipSettle: true, skipBeats: true, skipLeaseCheck: true };
    const starts = ['alpha', 'beta'].map((host) =>
      machines.begin(host, { testSwitches: { claimSwitches } }),
    );
    const opened = await until(Promise.allSettled(starts.map(({ opening }) => opening)));
    const engines = opened.flatMap((result) => {
      if (result.status === 'fulfilled') return [result.value];
      expect(hasCode(result.reason, 'CLAIM_HELD', 'CLAIM_FENCED')).toBe(true);
      return [];
    });
    expect(engines.length).toBeGreaterThan(0);
    if (engines.length > 1) bothStoodCount++;
    const given = engines.map(() => new Map<string, number>());
    const fill = async (engine: Engine, which: number): Promise<void> => {
      for (let index = 0; index < 60; index++) {
        const [key, sizeBytes] = [`${String(which)}/${String(index % 25)}`, random.below(6000)];
        await put(engine, key, random.bytes(sizeBytes));
        given[which]?.set(key, sizeBytes);
      }
    };
    await until(Promise.allSettled(engines.map(fill)));
    await clock.advance(1000);
    const winner = engines.findIndex((engine) => engine.stats().state === 'open');
    const engine = engines[winner];
    expect(engine).toBeDefined();
    if (engine === undefined) continue;
    // It may have taken over some of the other's first writes, and keeps all of its own.
    const found = await until(contentOf(engine));
    expect(Object.fromEntries(found)).toMatchObject(Object.fromEntries(given[winner] ?? []));
    expect((await until(engine.verify())).damages).toEqual([]);
  }
  expect(bothStoodCount).toBeLessThan(40);
});

describe('pages that are from before another machine wrote', () => {
  /** All of the disk as it is, and a kernel that never forgets. */
  async function pagesOfNow({ medium, clock }: Machines): Promise<PageCache> {
    const cache = new PageCache({ lockName: 'beta', keepProbability: 1 });
    const stale = new SimulatedDevice(medium, { clock, seed: 's', cache, access: 'read-only' });
    for (let offset = 0; offset < medium.sizeBytes; offset += 4096) {
      await stale.read(offset, new Uint8Array(4096));
    }
    return cache;
  }

  test('are not shown by reads that are answered at once; without checks they are', async () => {
    for (const isChecked of [true, false]) {
      const machines = await Machines.formatted('at once', 14);
      const { until, start, random } = machines;
      const cache = await pagesOfNow(machines);
      const a = await start('alpha');
      const written = new Map<string, Uint8Array>();
      for (let index = 0; index < 40; index++) {
        written.set(`k${String(index)}`, random.bytes(4000));
      }
      for (const [key, value] of written) await until(put(a.engine, key, value));
      a.process.kill();
      const b = await start('beta', { cache, cachedReadShare: 1, deadByWord: () => true });
      await until(b.engine.close());
      const c = await start('beta', {
        cache,
        cachedReadShare: 1,
        testSwitches: { skipReadChecks: !isChecked },
      });
      const before = c.device.counts();
      let rightCount = 0;
      for (const [key, value] of written) {
        const found = await until(c.engine.get(bytes(key))).catch(() => undefined);
        if (Buffer.compare(found?.value ?? bytes(''), value) === 0) rightCount++;
      }
      const { cachedReads } = c.device.counts();
      expect(cachedReads - before.cachedReads).toBeGreaterThan(10);
      expect(rightCount === written.size).toBe(isChecked);
      expect(c.engine.stats().staleReadCount > 10).toBe(isChecked);
      await until(c.engine.close());
    }
  });

  test('are read again past the cache, by every way to read', async () => {
    const machines = await Machines.formatted('stale', 14);
    const { until, start, clock, random } = machines;
    const cache = await pagesOfNow(machines);
    const a = await start('alpha', { testSwitches: BLIND });
    for (let index = 0; index < 60; index++) {
      await until(put(a.engine, `k${String(index)}`, random.bytes(4000)));
    }
    a.process.kill();
    const b = await start('beta', { cache, deadByWord: () => true });
    expect((await until(b.engine.get(bytes('k6'))))?.sizeBytes).toBe(4000);
    // The record, and of its table the index, the filter and a block; the engine looks things up as well.
    expect(b.engine.stats().staleReadCount).toBeGreaterThanOrEqual(4);
    expect((await until(contentOf(b.engine))).size).toBe(60);
    expect((await until(b.engine.verify())).damages).toEqual([]);
    expect(b.engine.stats().staleReadCount).toBeGreaterThan(100);
    // Emptied segments are read too: nothing is given up for damaged.
    for (let index = 0; index < 400; index++) {
      const key = `k${String(3 * random.below(20) + 1 + (index % 2))}`;
      await until(put(b.engine, key, random.bytes(4000)));
    }
    await clock.advance(1000);
    expect(b.engine.stats()).toMatchObject({ checksumErrorCount: 0, keyCount: 60 });
    expect(b.engine.stats().bytesMoved).toBeGreaterThan(0);
    expect((await until(b.engine.get(bytes('k6'))))?.sizeBytes).toBe(4000);
  });
});

describe('a flush that failed, and a start on the same machine', () => {
  /** Whether something was shown that a power cut took away afterwards. */
  async function showsWhatNeverWas(seed: number, testSwitches: TestSwitches): Promise<boolean> {
    const world = newWorld(`flush failed ${String(seed)}`);
    const medium = await formattedMedium(world);
    const first = await openOn(world, medium);
    await put(first.engine, 'a', bytes('before'));
    first.device.inject({ kind: 'flush', after: 0, effect: 'fail' });
    // Killed before it could write the note of the failure.
    await put(first.engine, 'a', bytes('after')).catch(() => {
      first.device.halt();
    });
    const found = medium.crash(world.random, { kind: 'process' });
    const second = await openOn(world, found, { testSwitches });
    const shown = (await second.engine.get(bytes('a')))?.value;
    second.device.halt();
    const third = await openOn(world, found.crash(world.random, { kind: 'power' }));
    const kept = (await third.engine.get(bytes('a')))?.value;
    return Buffer.compare(shown ?? bytes(''), kept ?? bytes('')) !== 0;
  }

  test('shows nothing that never reached the disk', async () => {
    for (let seed = 0; seed < 30; seed++) expect(await showsWhatNeverWas(seed, {})).toBe(false);
  });

  test('would do so if recovery read through the page cache', async () => {
    let shownCount = 0;
    for (let seed = 0; seed < 30; seed++) {
      // It may also find that the log it has read is not there.
      const isHarmed = await showsWhatNeverWas(seed, { cachedRecovery: true }).catch(() => true);
      if (isHarmed) shownCount++;
    }
    expect(shownCount).toBeGreaterThan(0);
  });
});

describe('an opening that fails after the claim was taken', () => {
  test('gives the claim back, and beats no more', async () => {
    const machines = await Machines.formatted('corrupt');
    const { until, start, medium, reader, clock } = machines;
    const a = await start('alpha');
    await until(put(a.engine, 'a', bytes('b')));
    await until(a.engine.close());
    const { newestClaim } = await inspectDevice(reader());
    medium.corrupt((newestClaim?.checkpoint?.groupOffset ?? 0) + 70);
    const b = machines.begin('beta');
    await expect(until(b.opening)).rejects.toMatchObject({ code: 'DEVICE_CORRUPT' });
    const count = b.device.operationCount;
    await clock.advance(5000);
    expect(b.device.operationCount).toBe(count);
    expect((await inspectDevice(reader())).newestClaim).toMatchObject({ state: 'released' });
  });
});

test('a device in use can be looked at: each look shows one moment of its log', async () => {
  const { until, start, reader, random } = await Machines.formatted('in use', 14);
  const a = await start('alpha');
  const load = { isOn: true };
  let given = 0;
  const write = async (): Promise<void> => {
    while (load.isOn) {
      const [left, right] = [`${String(given % 20)}/l`, `${String(given % 20)}/r`];
      const value = random.bytes(random.below(3000));
      await a.engine.apply([
        { kind: 'put', key: bytes(left), value },
        { kind: 'put', key: bytes(right), value },
      ]);
      given++;
    }
  };
  const writing = write();
  for (let look = 0; look < 40; look++) {
    const seen = await until(openReadOnly(reader()));
    expect(seen.lastLsn).toBeLessThanOrEqual(given + 1);
    // Both keys of a batch, or neither.
    expect(seen.keyCount % 2).toBe(0);
  }
  load.isOn = false;
  await until(writing);
  expect(given).toBeGreaterThan(100);
});

test('the manifest that a slot names is read for forensics, as long as it is there', async () => {
  const { until, start, reader } = await Machines.formatted('manifests');
  const a = await start('alpha');
  await until(put(a.engine, 'a', bytes('b')));
  const { superblock, newestClaim } = await inspectDevice(reader());
  if (newestClaim === undefined) throw new Error('there is a claim');
  expect(await readManifestOf(reader(), superblock, newestClaim)).toMatchObject({ nextLsn: 1 });
  const other = {
    ...newestClaim,
    identity: { ...newestClaim.identity, nonce: new Uint8Array(16) },
  };
  expect(await readManifestOf(reader(), superblock, other)).toBeUndefined();
});
