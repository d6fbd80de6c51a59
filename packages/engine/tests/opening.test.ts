/** Devices that are not what they should be: refused with what was found, never changed. */
import { SimulatedDevice, SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { EngineError, describeContent, formatDevice, inspectDevice } from '../src/index.ts';
import { openEngine, openReadOnly, restoreSuperblock } from '../src/index.ts';
import { encodeSuperblock } from '../src/superblock.ts';
import { HOLDER, KIB, MIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

const world = newWorld('opening');
let seed = 0;

function deviceOn(medium: SimulatedMedium): SimulatedDevice {
  return new SimulatedDevice(medium, { clock: world.clock, seed: seed++, access: 'unlocked' });
}

async function open(medium: SimulatedMedium): Promise<unknown> {
  const before = medium.peek(0, medium.sizeBytes).slice();
  try {
    return await openEngine({ device: deviceOn(medium), ...world, holder: HOLDER });
  } catch (error) {
    expect(Buffer.compare(medium.peek(0, medium.sizeBytes), before)).toBe(0);
    throw error;
  }
}

describe('opening', () => {
  test.each([
    ['only zeros', 0, new Uint8Array(4)],
    ['an ext2, ext3 or ext4 file system', 1080, Uint8Array.of(0x53, 0xef)],
    ['an XFS file system', 0, bytes('XFSB')],
    ['a Btrfs file system', 65600, bytes('_BHRfS_M')],
    ['a GPT partition table', 512, bytes('EFI PART')],
    ['an LVM physical volume', 512, bytes('LABELONE')],
    ['a LUKS encrypted volume', 0, Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe)],
    ['a Linux swap area', 4086, bytes('SWAPSPACE2')],
    ['a Ceph BlueStore device', 0, bytes('bluestore block device')],
    ['data of an unknown kind', 100, bytes('something')],
  ])('a device with %s is refused by that name', async (found, offset, content) => {
    const medium = new SimulatedMedium(4 * MIB);
    medium.poke(offset, content);
    await expect(open(medium)).rejects.toMatchObject({
      code: 'DEVICE_NOT_DOZO',
      detail: { found },
    });
  });

  test('a device of another format version is refused', async () => {
    const medium = await formattedMedium(world);
    const { superblock } = await inspectDevice(deviceOn(medium));
    const block = encodeSuperblock(superblock, 4);
    medium.poke(0, block);
    await expect(open(medium)).rejects.toMatchObject({
      code: 'DEVICE_VERSION_UNKNOWN',
      detail: { version: 4 },
    });
  });

  test('a device that was cut short is refused', async () => {
    const medium = await formattedMedium(world);
    const short = new SimulatedMedium(medium.sizeBytes - 4096);
    short.poke(0, medium.peek(0, short.sizeBytes).slice());
    await expect(open(short)).rejects.toMatchObject({
      code: 'DEVICE_CUT_SHORT',
      detail: { sizeBytes: short.sizeBytes, neededBytes: medium.sizeBytes },
    });
  });

  test('a damaged superblock is refused, and put back from its copy when that is asked for', async () => {
    const medium = await formattedMedium(world);
    const { engine, device } = await openOn(world, medium);
    await engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('b') }]);
    await engine.close();
    await device.close();
    for (const damaged of [100, 3]) {
      medium.corrupt(damaged);
      await expect(open(medium)).rejects.toMatchObject({
        code: 'SUPERBLOCK_DAMAGED',
        detail: { copyIntact: true },
      });
      expect(await restoreSuperblock(deviceOn(medium))).toBe(true);
      expect(await restoreSuperblock(deviceOn(medium))).toBe(false);
    }
    const readOnly = await openReadOnly(deviceOn(medium));
    expect((await readOnly.get(bytes('a')))?.value).toEqual(bytes('b'));
  });

  test('with both superblocks damaged there is nothing to put back', async () => {
    const medium = await formattedMedium(world);
    const { superblock } = await inspectDevice(deviceOn(medium));
    medium.corrupt(100);
    medium.corrupt(superblock.geometry.superblockCopyOffset + 100);
    await expect(open(medium)).rejects.toMatchObject({
      code: 'SUPERBLOCK_DAMAGED',
      detail: { copyIntact: false },
    });
    await expect(restoreSuperblock(deviceOn(medium))).rejects.toBeInstanceOf(EngineError);
  });

  test('a log whose manifest was damaged is refused, not taken for empty', async () => {
    const medium = await formattedMedium(world);
    const { engine, device } = await openOn(world, medium);
    await engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('b') }]);
    await engine.close();
    await device.close();
    const { newestClaim } = await inspectDevice(deviceOn(medium));
    medium.corrupt((newestClaim?.checkpoint?.groupOffset ?? 0) + 70);
    const device2 = new SimulatedDevice(medium, { clock: world.clock, seed: seed++ });
    await expect(openEngine({ device: device2, ...world, holder: HOLDER })).rejects.toMatchObject({
      code: 'DEVICE_CORRUPT',
    });
  });
});

describe('formatting', () => {
  const format = (medium: SimulatedMedium, force: boolean): Promise<unknown> =>
    formatDevice({ device: deviceOn(medium), ...world, force, segmentPayloadBytes: 64 * KIB });

  test('a device that holds anything is formatted only by force', async () => {
    const medium = new SimulatedMedium(10 * MIB);
    medium.poke(1080, Uint8Array.of(0x53, 0xef));
    expect(await describeContent(deviceOn(medium))).toContain('ext4');
    await expect(format(medium, false)).rejects.toMatchObject({ code: 'DEVICE_NOT_EMPTY' });
    await format(medium, true);
    expect(await describeContent(deviceOn(medium))).toBe('a Dozo device');
    await expect(format(medium, false)).rejects.toMatchObject({
      code: 'DEVICE_NOT_EMPTY',
      detail: { found: 'a Dozo device' },
    });
  });

  test('a device that is too small is refused with what is needed', async () => {
    const medium = new SimulatedMedium(9 * MIB - 4096);
    await expect(formatDevice({ device: deviceOn(medium), ...world })).rejects.toMatchObject({
      code: 'DEVICE_TOO_SMALL',
    });
  });

  test('a lease that no holder could keep is refused', async () => {
    const device = deviceOn(new SimulatedMedium(10 * MIB));
    const intervals = { beatIntervalMs: 1000, leaseMs: 2999, segmentPayloadBytes: 64 * KIB };
    await expect(formatDevice({ device, ...world, ...intervals })).rejects.toMatchObject({
      code: 'INTERVALS_REFUSED',
      message: expect.stringContaining('from 3000 to') as string,
    });
    const superblock = await formatDevice({
      device,
      ...world,
      ...intervals,
      leaseMs: 3000,
      isLocal: true,
    });
    expect((await inspectDevice(device)).superblock).toEqual(superblock);
    expect(superblock).toMatchObject({ beatIntervalMs: 1000, leaseMs: 3000, isLocal: true });
  });

  test('a formatting that was cut off leaves no device of ours', async () => {
    const medium = await formattedMedium(world);
    const device = deviceOn(medium);
    device.inject({ kind: 'flush', after: 1, effect: 'fail' });
    const sizes = { segmentPayloadBytes: 64 * KIB, ringSlotCount: 8 };
    const again = formatDevice({ device, ...world, ...sizes, force: true });
    await expect(again).rejects.toMatchObject({ code: 'DEVICE_FLUSH_FAILED' });
    await expect(inspectDevice(deviceOn(medium))).rejects.toBeInstanceOf(EngineError);
  });
});

describe('the limits of a request', () => {
  test('are refused by name, and nothing is written', async () => {
    const { engine } = await openOn(world, await formattedMedium(world));
    const put = (key: Uint8Array, value: Uint8Array): Promise<unknown> =>
      engine.apply([{ kind: 'put', key, value }]);
    const none = new Uint8Array(0);
    await expect(put(none, none)).rejects.toMatchObject({ code: 'KEY_EMPTY' });
    await expect(put(new Uint8Array(1537), none)).rejects.toMatchObject({ code: 'KEY_TOO_LONG' });
    const long = new Uint8Array(32 * KIB + 1);
    await expect(put(bytes('k'), long)).rejects.toMatchObject({
      code: 'VALUE_TOO_LARGE',
      detail: { limitBytes: 32 * KIB },
    });
    const value = new Uint8Array(30 * KIB);
    const batch = [1, 2].map((index) => ({
      kind: 'put' as const,
      key: Uint8Array.of(index),
      value,
    }));
    await expect(engine.apply(batch)).rejects.toMatchObject({ code: 'BATCH_TOO_LARGE' });
    expect(await engine.apply([])).toBe(0);
    expect(engine.stats()).toMatchObject({ keyCount: 0, putCount: 0 });
    await put(new Uint8Array(1536), none);
    await engine.close();
    await expect(put(bytes('k'), none)).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    expect(() => engine.snapshot()).toThrow(EngineError);
  });

  test('a queue that is full refuses', async () => {
    const { engine } = await openOn(world, await formattedMedium(world));
    const batch = [{ kind: 'delete' as const, key: bytes('k') }];
    const results = Array.from({ length: 65_600 }, () =>
      engine.apply(batch).then(
        () => 'done',
        (error: unknown) => (error as EngineError).code,
      ),
    );
    const counts = new Map<string, number>();
    for (const result of await Promise.all(results)) {
      counts.set(result, (counts.get(result) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ done: 65_536, QUEUE_FULL: 64 });
  });
});

describe('reading', () => {
  test('a range of a value is what the whole value has there', async () => {
    const big = newWorld('ranges');
    const medium = await formattedMedium(big, { segmentPayloadBytes: MIB, segmentCount: 16 });
    const { engine } = await openOn(big, medium);
    for (const sizeBytes of [0, 1, 5000, 65_536, 65_537, 200_000, 500_000]) {
      const value = big.random.bytes(sizeBytes);
      const key = bytes(`v${String(sizeBytes)}`);
      await engine.apply([{ kind: 'put', key, value }]);
      for (let round = 0; round < 40; round++) {
        const start = big.random.below(sizeBytes + 10);
        const end = start + big.random.below(sizeBytes + 10);
        const entry = await engine.get(key, { start, end });
        expect(entry?.sizeBytes).toBe(sizeBytes);
        expect(Buffer.compare(entry?.value ?? bytes(''), value.subarray(start, end))).toBe(0);
      }
    }
  });

  test('a scan shows the keys as they were when it began, whatever is written meanwhile', async () => {
    const big = newWorld('scan');
    const { engine } = await openOn(big, await formattedMedium(big));
    const keyOf = (index: number): Uint8Array => bytes(`k${String(index).padStart(4, '0')}`);
    const values = Array.from({ length: 700 }, (_, index) => big.random.bytes(index % 90));
    for (let index = 0; index < 700; index += 7) {
      await engine.apply(
        values.slice(index, index + 7).map((value, offset) => ({
          kind: 'put' as const,
          key: keyOf(index + offset),
          value,
        })),
      );
    }
    for (const reverse of [false, true]) {
      const rows: number[] = [];
      for await (const row of engine.scan({ from: keyOf(10), to: keyOf(690), reverse })) {
        const index = Number(Buffer.from(row.key.subarray(1)).toString());
        rows.push(index);
        expect(row.value).toEqual(values[index]);
        if (rows.length === 3) await engine.apply([{ kind: 'delete', key: keyOf(400) }]);
        if (rows.length === 5) {
          const value = values[400] ?? bytes('');
          await engine.apply([{ kind: 'put', key: keyOf(400), value }]);
        }
      }
      expect(rows).toHaveLength(680);
      expect(rows[0]).toBe(reverse ? 689 : 10);
    }
    const some: unknown[] = [];
    for await (const row of engine.scan({ from: keyOf(5) }, { limit: 3, values: false })) {
      some.push([row.key, row.value]);
    }
    expect(some).toEqual([5, 6, 7].map((index) => [keyOf(index), undefined]));
  });

  test('what a caller does to its buffers afterwards changes nothing that is stored', async () => {
    const big = newWorld('buffers');
    const { engine } = await openOn(big, await formattedMedium(big));
    // Short enough for the tree, and longer. As pieces of one Buffer, as callers have them.
    for (const sizeBytes of [40, 3000]) {
      const key = bytes(`k${sizeBytes}`);
      const whole = Buffer.alloc(2 * sizeBytes, 'a');
      const value = whole.subarray(0, sizeBytes);
      await engine.apply([{ kind: 'put', key, value }]);
      value.fill('b');
      const read = async (): Promise<string> =>
        Buffer.from((await engine.get(key))?.value ?? []).toString();
      expect(await read()).toBe('a'.repeat(sizeBytes));
      (await engine.get(key))?.value.fill(0);
      for await (const row of engine.scan({})) row.value?.fill(0);
      expect(await read()).toBe('a'.repeat(sizeBytes));
    }
  });

  test('verify can be stopped, and tells how far it is', async () => {
    const big = newWorld('verify');
    const { engine } = await openOn(big, await formattedMedium(big));
    await engine.apply([{ kind: 'put', key: bytes('k'), value: bytes('v'.repeat(1000)) }]);
    const done: number[] = [];
    await engine.verify({ onProgress: ({ bytesDone }) => done.push(bytesDone) });
    expect(done[0]).toBe(0);
    expect(done.at(-1)).toBeGreaterThan(1000);
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    await expect(engine.verify({ signal: controller.signal })).rejects.toThrow('enough');
  });
});
