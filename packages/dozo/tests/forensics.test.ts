/** Forensics on simulated disks that two engines have held, and on disks that cannot be read. */
import { DeviceError, SeededRandom, sleep } from '@dozo/base';
import type { Device } from '@dozo/base';
import { openEngine } from '@dozo/engine';
import type { TestSwitches } from '@dozo/engine';
import { SimulatedClock, SimulatedDevice, SimulatedMedium } from '@dozo/simulator';
import { beforeEach, describe, expect, it } from 'vitest';

import { openCase } from '../src/forensics/case-file.ts';
import type { CaseFile } from '../src/forensics/case-file.ts';
import { gatherFromDevice } from '../src/forensics/gather-evidence.ts';
import { reportText } from '../src/forensics/report-text.ts';
import { SECOND, ZOMBIE, formatSmall, playTakeover, write } from './two-holders.ts';
import type { Ground, TwoHolders } from './two-holders.ts';

const KIB = 1024;
const RING_OFFSET = 64 * KIB;
const SLOT_BYTES = 8 * KIB;

let clock: SimulatedClock;
let medium: SimulatedMedium;
let ground: Ground<SimulatedDevice>;
let openCount = 0;

const until = <T>(work: Promise<T>): Promise<T> => clock.runUntil(work);

function open(access: 'unlocked' | 'read-only' = 'unlocked'): SimulatedDevice {
  return new SimulatedDevice(medium, { clock, access, seed: openCount++, alignmentBytes: 1 });
}

function examine(device: Device = open('read-only')): Promise<CaseFile> {
  return until(gatherFromDevice({ device, clock, path: '/dev/simulated' })).then(openCase);
}

const takeover = (successor: TestSwitches = {}): Promise<TwoHolders<SimulatedDevice>> =>
  until(playTakeover(ground, successor));

beforeEach(async () => {
  clock = new SimulatedClock({ seed: 'forensics' });
  medium = new SimulatedMedium(4 * KIB * KIB);
  ground = { clock, random: new SeededRandom('forensics'), open };
  await until(formatSmall(ground));
});

/** Opened, written to and closed, one after the other. */
async function playOneAtATime(count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    const device = open();
    const { random } = ground;
    const engine = await openEngine({ device, clock, random, holder: SECOND });
    await write(engine, 'key', 3);
    await engine.close();
  }
}

describe('forensics of a simulated disk', () => {
  it('finds nobody on a device that was never used', async () => {
    const { verdict, rows } = await examine();
    expect(verdict.kind).toBe('never-used');
    expect(rows).toEqual([]);
  });

  it('finds one writer at a time where each gave the device back', async () => {
    await until(playOneAtATime(3));
    const { verdict, rows, overlaps } = await examine();
    expect(verdict.kind).toBe('one-writer');
    expect(rows.map(({ end }) => end.kind)).toEqual(['released', 'released', 'released']);
    expect(overlaps).toEqual([]);
  });

  it('finds one writer at a time where the first has died silently and nothing proves it', async () => {
    await takeover();
    const { verdict, rows } = await examine();
    expect(verdict.kind).toBe('one-writer');
    expect(verdict.sentences.join(' ')).toContain('not proved dead');
    expect(rows).toMatchObject([
      { end: { kind: 'unproven' }, isMoving: false, late: { groupCount: 0 } },
      { end: { kind: 'newest' }, isMoving: true },
    ]);
  });

  it('counts what a zombie writes past its fence, and knows it without any clock', async () => {
    const { zombie } = await takeover();
    await until(write(zombie, 'zombie', 7));
    const { verdict, rows, overlaps, evidence } = await examine();
    expect(verdict.kind).toBe('overlap');
    expect(rows[0]).toMatchObject({
      holder: { host: 'alpha', processId: 12, podName: 'osd-0-old' },
      late: { source: 'scan', groupCount: 7, recordCount: 7 },
      end: { kind: 'unproven' },
    });
    expect(rows[0]?.late?.keys.map((key) => new TextDecoder().decode(key))).toEqual([
      'zombie-0',
      'zombie-1',
      'zombie-2',
      'zombie-3',
    ]);
    expect(overlaps[0]).toMatchObject({
      signs: [{ kind: 'wrote', certainty: 'protocol' }],
      sharedSegments: [],
    });
    expect(evidence.gaps).toEqual([]);
    const [first = '', second = ''] = verdict.sentences;
    expect(first).toContain('process 12 on host alpha, pod osd-0-old');
    expect(first).toContain('process 31 on host beta');
    expect(second).toMatch(/^The first wrote 7 records .* none of them is visible/);
  });

  it('still tells it from the note when the quarantine was released', async () => {
    const { zombie, zombieDevice, second } = await takeover();
    await until(write(zombie, 'zombie', 7));
    zombieDevice.halt();
    await until(second.close());
    const { random } = ground;
    const next = await until(
      openEngine({
        ...{ device: open(), clock, random, holder: SECOND },
        deadByWord: ({ holder }) => holder.host === ZOMBIE.host,
      }),
    );
    while (next.stats().quarantinedClaims.length > 0) await until(sleep(clock, 5));
    await until(write(next, 'next', 3));
    await until(next.close());
    const { verdict, rows } = await examine();
    expect(verdict.kind).toBe('overlap');
    expect(rows[0]).toMatchObject({
      late: { source: 'note', groupCount: 7, recordCount: 7 },
      end: { kind: 'dead', proof: 'operator' },
      quarantined: [],
    });
  });

  it('warns of damage where a successor used what was kept apart', async () => {
    const { zombie, second } = await takeover({ ignoreQuarantine: true });
    await until(write(zombie, 'zombie', 3));
    await until(write(second, 'second', 3));
    const { verdict, overlaps } = await examine();
    expect(verdict.kind).toBe('damage-possible');
    expect(overlaps[0]?.sharedSegments).not.toEqual([]);
    expect(verdict.nextSteps[0]?.command).toBe('dozo device verify /dev/simulated');
    expect(verdict.nextSteps.map(({ command }) => command)).not.toContain(
      'dozo device release-quarantine /dev/simulated',
    );
  });
});

describe('forensics of a damaged disk', () => {
  it('goes on with the copy when the superblock is damaged', async () => {
    await takeover();
    await overwrite(0, 4 * KIB);
    const { rows, evidence } = await examine();
    expect(rows).toHaveLength(2);
    expect(evidence.gaps).toMatchObject([{ what: 'the superblock as it should be' }]);
  });

  it('is refused where there is no superblock', async () => {
    medium = new SimulatedMedium(4 * KIB * KIB);
    await expect(examine()).rejects.toMatchObject({ detail: { code: 'DEVICE_NOT_DOZO' } });
  });

  it('reads the ring slot by slot where the disk refuses a part of it', async () => {
    const { zombie } = await takeover();
    await until(write(zombie, 'zombie', 2));
    const place = await slotPlaceOf(ZOMBIE.host);
    const { rows, evidence } = await examine(withBadPlace(place));
    expect(evidence.gaps).toEqual([
      {
        what: `slot ${(place - RING_OFFSET) / SLOT_BYTES} of the claim ring`,
        reason: 'the device cannot be read there',
      },
    ]);
    // Its slot is gone, and the fence still names it.
    expect(rows.map(({ holder }) => holder.host)).toEqual(['alpha', 'beta']);
    expect(rows[0]).not.toHaveProperty('state');
  });

  it('names a slot of which both blocks are damaged', async () => {
    await takeover();
    await overwrite(await slotPlaceOf(ZOMBIE.host), SLOT_BYTES);
    const caseFile = await examine();
    expect(caseFile.evidence.gaps).toMatchObject([{ reason: 'both of its blocks are damaged' }]);
    expect(reportText(caseFile)).toContain('COULD NOT BE READ');
  });

  it('says that fences and notes are missing when the manifest is damaged', async () => {
    const { second } = await takeover();
    await until(second.close());
    const { ring } = (await examine()).evidence;
    await overwrite(ring.newestWithCheckpoint?.checkpoint?.groupOffset ?? 0, 4 * KIB);
    const { evidence, rows } = await examine();
    expect(evidence.gaps.map(({ what }) => what.slice(0, 17))).toEqual(['the manifest of c']);
    // What the first left is older, but better than nothing.
    expect(evidence.device?.history).toBeDefined();
    expect(rows).toHaveLength(2);
  });
});

async function overwrite(offset: number, sizeBytes: number): Promise<void> {
  const device = open();
  await until(device.write(offset, [new Uint8Array(sizeBytes).fill(0xa5)]));
  await until(device.flush());
}

async function slotPlaceOf(host: string): Promise<number> {
  const { ring } = (await examine()).evidence;
  const found = ring.slots.find(({ slot }) => slot?.holder.host === host);
  expect(found).toBeDefined();
  return RING_OFFSET + (found?.index ?? 0) * SLOT_BYTES;
}

/** A disk with a bad place, which fails every read that touches it. */
function withBadPlace(place: number): Device {
  const device = open('read-only');
  return new Proxy(device, {
    get: (target, name) => {
      if (name === 'readUncached') {
        return (offset: number, into: Uint8Array) =>
          offset <= place && place < offset + into.length
            ? Promise.reject(unreadable(offset))
            : target.readUncached(offset, into);
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

function unreadable(offset: number): DeviceError {
  const detail = { code: 'DEVICE_READ_FAILED', path: 'simulated', offset, cause: 'EIO' } as const;
  return new DeviceError('Reading: the kernel says EIO.', detail);
}
