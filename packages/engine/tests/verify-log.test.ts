/** What verify finds in the log that the next start would replay, and that a running engine mends it. */
import { SeededRandom, equalBytes } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { deviceOffset } from '../src/geometry.ts';
import { dumpDevice, openEngine, openReadOnly } from '../src/index.ts';
import type { Engine, VerifyReport } from '../src/index.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

interface Opened {
  readonly world: World;
  readonly medium: SimulatedMedium;
  readonly engine: Engine;
  readonly device: SimulatedDevice;
}

const LONG = new TextEncoder().encode('a long value '.repeat(200));

/** Values and deletes of every kind, none of them in tables. */
async function written(seed: string): Promise<Opened> {
  const world = newWorld(seed);
  const medium = await formattedMedium(world, { segmentPayloadBytes: 256 * KIB });
  const opened = await openOn(world, medium);
  const put = (key: string, value: Uint8Array): Promise<unknown> =>
    opened.engine.apply([{ kind: 'put', key: bytes(key), value }]);
  await put('short', bytes('SHORT VALUE'));
  await put('replaced', bytes('REPLACED VALUE'));
  await put('replaced', bytes('its new value'));
  await put('long', LONG);
  await put('m/1', bytes('to be deleted'));
  await opened.engine.apply([
    { kind: 'delete-range', from: bytes('m/FROM'), to: bytes('m/TO THERE') },
    { kind: 'delete-range', from: bytes('m/0'), to: bytes('m/9') },
  ]);
  await put('newest', bytes('NEWEST VALUE'));
  return { world, medium, ...opened };
}

/** Flips a bit where these bytes stand first. */
function damage(medium: SimulatedMedium, text: string): void {
  const needle = bytes(text);
  const all = medium.peek(0, medium.sizeBytes);
  const at = all.findIndex((_, start) =>
    equalBytes(all.subarray(start, start + needle.length), needle),
  );
  expect(at).toBeGreaterThan(0);
  medium.corrupt(at + needle.length - 1, 1);
}

const said = ({ damages, isFlushRequested }: VerifyReport): unknown => ({
  isFlushRequested: isFlushRequested ?? false,
  damages: damages.map(({ key, reason }) => [
    key === undefined ? undefined : new TextDecoder().decode(key),
    reason,
  ]),
});

/** A start on what the disk holds when the process ends now. */
async function startAfterCrash({ world, medium, device }: Opened): Promise<Engine> {
  device.halt();
  const { clock, random } = world;
  const crashed = medium.crash(new SeededRandom(1), { kind: 'process' });
  return openEngine({
    ...{ clock, random, holder: HOLDER },
    device: new SimulatedDevice(crashed, { clock, seed: 'after' }),
  });
}

const SOUND = { isFlushRequested: false, damages: [] };

const CASES = [
  ['a short value', 'SHORT VALUE', ['short', 'its short value in the log is damaged']],
  ['a range delete', 'm/TO THERE', [undefined, 'the end of a range delete in the log is damaged']],
  ['the head of a record', 'm/FROM', [undefined, 'a group of the log is damaged']],
  ['the newest group', 'NEWEST VALUE', ['newest', 'its short value in the log is damaged']],
] as const;

describe('in a running engine', () => {
  test.each(CASES)('%s of the log that is damaged is found, and mended', async (_, text, found) => {
    const opened = await written(text);
    const { world, medium, engine } = opened;
    expect(said(await engine.verify())).toEqual(SOUND);
    damage(medium, text);
    expect(said(await engine.verify())).toEqual({
      isFlushRequested: true,
      damages: [[found[0], expect.stringContaining(found[1]) as string]],
    });
    await world.clock.advance(10_000);
    expect(said(await engine.verify())).toEqual(SOUND);

    const again = await startAfterCrash(opened);
    expect((await again.get(bytes('short')))?.value).toEqual(bytes('SHORT VALUE'));
    expect((await again.get(bytes('newest')))?.value).toEqual(bytes('NEWEST VALUE'));
    expect((await again.get(bytes('long')))?.value).toEqual(LONG);
    expect(await again.get(bytes('m/1'))).toBeUndefined();
    expect(said(await again.verify())).toEqual(SOUND);
  });

  test('a damaged page of the checkpoint is found, and replaced by the next one', async () => {
    const { world, medium, engine, device } = await written('page');
    // At rest range deletes are flushed.
    await world.clock.advance(10_000);
    const { inspection, manifest } = await dumpDevice(device);
    const page = manifest?.pages[0];
    if (page === undefined) throw new Error('a flush writes a checkpoint');
    const { geometry } = inspection.superblock;
    medium.corrupt(deviceOffset(geometry, page.segment, page.offset) + 40, 1);
    expect(said(await engine.verify())).toEqual({
      isFlushRequested: true,
      damages: [[undefined, 'a page of the checkpoint is damaged']],
    });
    await world.clock.advance(10_000);
    expect(said(await engine.verify())).toEqual(SOUND);
  });

  test('a value that has been replaced since is needed by nobody', async () => {
    const { medium, engine } = await written('replaced');
    damage(medium, 'REPLACED VALUE');
    expect(said(await engine.verify())).toEqual(SOUND);
  });

  test('a long value is reported once, and no flush brings it back', async () => {
    const { world, medium, engine } = await written('long');
    damage(medium, 'a long value ');
    const lost = { isFlushRequested: false, damages: [['long', 'its checksum does not match']] };
    expect(said(await engine.verify())).toEqual(lost);
    await world.clock.advance(10_000);
    expect(said(await engine.verify())).toEqual(lost);
  });

  test('in the newest group everything counts: a start may take none of it', async () => {
    const { medium, engine } = await written('newest');
    await engine.apply([
      { kind: 'put', key: bytes('twice'), value: LONG },
      { kind: 'put', key: bytes('with it'), value: bytes('short') },
    ]);
    const all = medium.peek(0, medium.sizeBytes);
    const text = new TextDecoder('latin1').decode(all);
    medium.corrupt(text.lastIndexOf('a long value ') + 1, 1);
    expect(said(await engine.verify())).toEqual({
      isFlushRequested: true,
      damages: [
        [undefined, 'the newest group of the log is damaged; the next start may not count it'],
        ['twice', 'its checksum does not match'],
      ],
    });
  });
});

describe('of a device that nobody has open', () => {
  test('a short value in the log is reported once, with its key', async () => {
    const { world, medium, device } = await written('offline');
    damage(medium, 'SHORT VALUE');
    device.halt();
    const { clock } = world;
    const reader = new SimulatedDevice(medium, { clock, seed: 'reader', access: 'read-only' });
    const engine = await openReadOnly(reader);
    expect(said(await engine.verify())).toEqual({
      isFlushRequested: false,
      damages: [['short', 'its checksum does not match']],
    });
  });

  test('a range delete with a damaged end is said when it is opened', async () => {
    const { world, medium, device } = await written('offline range');
    damage(medium, 'm/TO THERE');
    device.halt();
    const { clock } = world;
    const reader = new SimulatedDevice(medium, { clock, seed: 'reader', access: 'read-only' });
    await expect(openReadOnly(reader)).rejects.toMatchObject({ code: 'DEVICE_CORRUPT' });
  });
});
