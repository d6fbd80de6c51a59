import { SeededRandom } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { SimulatedClock } from './simulated-clock.ts';
import { SimulatedDevice } from './simulated-device.ts';
import type { OperationEvent, SimulatedDeviceOptions } from './simulated-device-types.ts';
import { SimulatedMedium } from './simulated-medium.ts';

const SIZE_BYTES = 1024 * 1024;

function block(fill: number, sizeBytes = 4096): Uint8Array {
  return new Uint8Array(sizeBytes).fill(fill);
}

function setUp(options: Partial<SimulatedDeviceOptions> = {}): {
  medium: SimulatedMedium;
  device: SimulatedDevice;
} {
  const medium = new SimulatedMedium(SIZE_BYTES);
  const clock = new SimulatedClock({ seed: 1 });
  return { medium, device: new SimulatedDevice(medium, { clock, seed: 1, ...options }) };
}

async function readBlock(
  device: SimulatedDevice,
  offset: number,
  size = 4096,
): Promise<Uint8Array> {
  const into = new Uint8Array(size);
  await device.read(offset, into);
  return into;
}

/** The distinct first bytes that a crash leaves at `offset`, over many seeds. */
function outcomes(medium: SimulatedMedium, offset: number): Set<number> {
  const seen = new Set<number>();
  for (let seed = 0; seed < 60; seed++) {
    const after = medium.crash(new SeededRandom(seed));
    seen.add(after.peek(offset, 1)[0] ?? -1);
  }
  return seen;
}

describe('what a crash leaves', () => {
  it('keeps what was flushed', async () => {
    const { medium, device } = setUp();
    await device.write(4096, [block(1), block(2)]);
    await device.flush();
    expect([...outcomes(medium, 4096)]).toEqual([1]);
    expect([...outcomes(medium, 8192)]).toEqual([2]);
    expect(medium.unflushedWriteCount).toBe(0);
  });

  it('keeps what was written durably, and by that nothing else', async () => {
    const { medium, device } = setUp();
    await device.write(0, [block(1)]);
    await device.writeDurably(4096, [block(2)]);
    expect([...outcomes(medium, 4096)]).toEqual([2]);
    expect(outcomes(medium, 0).size).toBe(2);
    expect(medium.unflushedWriteCount).toBe(1);
  });

  it('keeps or loses what was not flushed, each write on its own', async () => {
    const { medium, device } = setUp();
    await device.write(0, [block(1)]);
    await device.write(4096, [block(2)]);
    const pairs = new Set<string>();
    for (let seed = 0; seed < 80; seed++) {
      const after = medium.crash(new SeededRandom(seed), { tearing: 'none' });
      pairs.add(`${String(after.peek(0, 1)[0])},${String(after.peek(4096, 1)[0])}`);
    }
    expect([...pairs].sort()).toEqual(['0,0', '0,2', '1,0', '1,2']);
  });

  it('does not count a write that resolved after the flush began', async () => {
    const { medium, device } = setUp();
    const flushed = device.flush();
    await device.write(0, [block(1)]);
    await flushed;
    expect([...outcomes(medium, 0)].sort()).toEqual([0, 1]);
  });

  it('tears at blocks, and inside a block at sectors', async () => {
    const { medium, device } = setUp();
    await device.write(0, [block(1, 8 * 4096)]);
    const shapes = { block: new Set<string>(), sector: new Set<string>() };
    for (let seed = 0; seed < 300; seed++) {
      for (const tearing of ['block', 'sector'] as const) {
        const after = medium.crash(new SeededRandom(seed), { tearing });
        const sectors = Array.from({ length: 64 }, (_, index) => after.peek(index * 512, 512));
        expect(sectors.every((sector) => new Set(sector).size === 1)).toBe(true);
        shapes[tearing].add(sectors.map((sector) => String(sector[0])).join(''));
      }
    }
    const isWholeBlocks = (shape: string): boolean => /^(0{8}|1{8})*$/.test(shape);
    expect([...shapes.block].every(isWholeBlocks)).toBe(true);
    expect([...shapes.sector].every(isWholeBlocks)).toBe(false);
    expect(shapes.block.has('1'.repeat(64)) && shapes.block.has('0'.repeat(64))).toBe(true);
    expect(shapes.block.size).toBeGreaterThan(30);
  });

  it('keeps what has resolved when only the process dies', async () => {
    const { medium, device } = setUp();
    await device.write(0, [block(1)]);
    void device.write(4096, [block(2)]);
    device.halt();
    const seen = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const after = medium.crash(new SeededRandom(seed), { kind: 'process', tearing: 'none' });
      expect(after.peek(0, 1)[0]).toBe(1);
      seen.add(after.peek(4096, 1)[0] ?? -1);
      // It is in the page cache only: a power cut can still take it.
      expect(outcomes(after, 0).has(0)).toBe(true);
    }
    expect([...seen].sort()).toEqual([0, 2]);
  });

  it('is what reads showed, when writes or flushes overlapped', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { medium, device } = setUp({ clock: new SimulatedClock({ seed }) });
      await Promise.all([device.write(0, [block(1)]), device.write(0, [block(2)])]);
      const first = device.flush();
      await device.write(4096, [block(3)]);
      const second = device.flush();
      await device.write(4096, [block(4)]);
      await Promise.all([first, second, device.flush()]);
      const shown = [0, 4096].map((offset) => medium.peek(offset, 1)[0] ?? -1);
      expect(shown[1]).toBe(4);
      expect([0, 4096].map((offset) => [...outcomes(medium, offset)])).toEqual(
        shown.map((fill) => [fill]),
      );
    }
  });

  it('goes on apart in a fork that was made during a write', async () => {
    const { medium, device } = setUp();
    const written = device.write(0, [block(1)]);
    const fork = medium.fork();
    await written;
    const other = new SimulatedDevice(fork, { clock: new SimulatedClock({ seed: 1 }), seed: 1 });
    await other.flush();
    expect([...outcomes(fork, 0)].sort()).toEqual([0, 1]);
    expect(fork.peek(0, 1)[0]).toBe(0);
  });

  it('is the same disk, by an identity that follows from its name alone', () => {
    const medium = new SimulatedMedium(SIZE_BYTES, 'left');
    const identity = { kind: 'file', name: 'left' };
    const after = medium.crash(new SeededRandom(1), { kind: 'process' });
    expect([medium, medium.fork(), after].map((disk) => disk.lockIdentity)).toEqual([
      identity,
      identity,
      identity,
    ]);
    expect(new SimulatedMedium(SIZE_BYTES).lockIdentity).toEqual(
      new SimulatedMedium(SIZE_BYTES).lockIdentity,
    );
  });

  it('does not disturb the medium or its forks', async () => {
    const { medium, device } = setUp();
    await device.write(0, [block(1)]);
    const fork = medium.fork();
    await device.write(0, [block(2)]);
    await device.flush();
    medium.crash(new SeededRandom(1)).poke(0, block(3));
    expect(medium.peek(0, 1)[0]).toBe(2);
    expect(fork.peek(0, 1)[0]).toBe(1);
    expect([...outcomes(fork, 0)].sort()).toEqual([0, 1]);
  });
});

describe('operations', () => {
  it('are seen by a hook at their beginning and end, where the power can be cut', async () => {
    const events: string[] = [];
    const cut: SimulatedMedium[] = [];
    const { medium, device } = setUp({
      onOperation: (event: OperationEvent) => {
        events.push(`${String(event.index)} ${event.kind} ${event.phase}`);
        if (event.kind === 'flush') cut.push(medium.fork());
      },
    });
    await device.write(0, [block(1)]);
    await device.flush();
    expect(events).toEqual(['0 write begin', '0 write end', '1 flush begin', '1 flush end']);
    expect(cut.map((fork) => fork.unflushedWriteCount)).toEqual([1, 0]);
  });

  it('can be cut at their beginning with all, nothing or parts of a write in the page cache', async () => {
    const cut: SimulatedMedium[] = [];
    const { medium, device } = setUp({
      onOperation: ({ phase }) => {
        if (phase === 'begin') cut.push(medium.fork());
      },
    });
    await device.write(0, [block(1, 8 * 4096)]);
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const after = cut[0]?.crash(new SeededRandom(seed), { kind: 'process' });
      const kinds = new Set(after?.peek(0, 8 * 4096));
      seen.add([...kinds].sort().join());
    }
    expect([...seen].sort()).toEqual(['0', '0,1', '1']);
  });

  it('never settle nor take effect after a halt', async () => {
    const { medium, device } = setUp();
    let settled = 0;
    const count = (): void => {
      settled++;
    };
    device.write(0, [block(1)]).then(count, count);
    device.halt();
    device.read(0, block(0)).then(count, count);
    await new SimulatedClock({ seed: 2 }).advance(1000);
    expect(settled).toBe(0);
    expect(medium.peek(0, 1)[0]).toBe(0);
  });

  it('complete in an order that follows from the seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const order: number[] = [];
      const { device } = setUp({ clock: new SimulatedClock({ seed }) });
      await Promise.all(
        [0, 1, 2, 3, 4, 5].map(async (index) => {
          await device.write(index * 4096, [block(index)]);
          order.push(index);
        }),
      );
      return order.join('');
    };
    expect(await run(1)).toBe(await run(1));
    const orders = new Set(await Promise.all([1, 2, 3, 4, 5].map(run)));
    expect(orders.size).toBeGreaterThan(1);
  });

  it('are answered at once where the device is said to have them in memory', async () => {
    const events: string[] = [];
    const { device } = setUp({
      cachedReadShare: 1,
      onOperation: ({ kind, phase }) => events.push(`${kind} ${phase}`),
    });
    await device.write(0, [block(1)]);
    const into = block(0);
    expect(device.readCached(0, into)).toBe(true);
    expect(into).toEqual(block(1));
    expect(events).toEqual(['write begin', 'write end', 'read begin', 'read end']);
    expect(device.counts()).toMatchObject({ reads: 1, cachedReads: 1, bytesRead: 4096 });
    device.inject({ kind: 'read', after: 0, effect: 'corrupt' });
    expect(device.readCached(0, into)).toBe(true);
    expect(into).not.toEqual(block(1));
    device.inject({ kind: 'read', after: 0, effect: 'corrupt' });
    device.inject({ kind: 'read', after: 0, effect: 'fail' });
    expect(device.readCached(0, into)).toBe(false);
    await expect(device.read(0, into)).rejects.toThrow('EIO');
    device.halt();
    expect(device.readCached(0, into)).toBe(false);
    expect(setUp().device.readCached(0, into)).toBe(false);
  });

  it('past the page cache are told apart', async () => {
    const events: boolean[] = [];
    const { device } = setUp({
      onOperation: ({ isUncached, phase }) => {
        if (phase === 'end') events.push(isUncached);
      },
    });
    await device.write(0, [block(1)]);
    await device.writeUncached(0, [block(2)]);
    await device.readUncached(0, block(0));
    await device.read(0, block(0));
    expect(events).toEqual([false, true, false, true, false]);
    const counts = { reads: 2, uncachedReads: 1, writes: 2, uncachedWrites: 1, flushes: 1 };
    expect(device.counts()).toMatchObject(counts);
  });

  it('refuse a second opener, and let it in after a halt or when it wants no lock', () => {
    const { medium, device } = setUp();
    const options = { clock: new SimulatedClock({ seed: 1 }), seed: 2 };
    expect(() => new SimulatedDevice(medium, options)).toThrow('another process has it open');
    expect(new SimulatedDevice(medium, { ...options, access: 'unlocked' }).lockIdentity.kind).toBe(
      'none',
    );
    device.halt();
    const second = new SimulatedDevice(medium, options);
    expect(second.lockIdentity).toEqual(device.lockIdentity);
  });

  it('catch buffers that change while they are being written', async () => {
    const { device } = setUp();
    const bytes = block(1);
    const written = device.write(0, [bytes]);
    bytes[7] = 9;
    await expect(written).rejects.toThrow('buffers changed');
  });

  it('leave old bytes, zeros or anything where they discarded', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      const { device } = setUp({ seed });
      await device.write(0, [block(1)]);
      await device.discard(0, 4096);
      const kinds = new Set(await readBlock(device, 0));
      seen.add(kinds.size > 1 ? 'anything' : kinds.has(1) ? 'old' : 'zeros');
    }
    expect([...seen].sort()).toEqual(['anything', 'old', 'zeros']);
  });

  it('can be held to an alignment', async () => {
    const { device } = setUp({ alignmentBytes: 512 });
    await device.write(512, [block(1, 512)]);
    expect(() => device.write(100, [block(1, 512)])).toThrow('not aligned');
    expect(() => device.read(0, new Uint8Array(100))).toThrow('not aligned');
  });
});

describe('faults', () => {
  it('fail the operation that they name, once', async () => {
    const { medium, device } = setUp();
    device.inject({ kind: 'write', after: 1, effect: 'fail', cause: 'ENOSPC' });
    device.inject({ kind: 'read', after: 0, effect: 'fail' });
    await device.write(0, [block(1)]);
    await expect(device.write(4096, [block(2)])).rejects.toMatchObject({
      detail: { code: 'DEVICE_WRITE_FAILED', offset: 4096, cause: 'ENOSPC' },
    });
    await device.write(8192, [block(3)]);
    await expect(readBlock(device, 0)).rejects.toMatchObject({ code: 'DEVICE_READ_FAILED' });
    expect((await readBlock(device, 0))[0]).toBe(1);
    await device.flush();
    expect([...outcomes(medium, 4096)].sort()).toEqual([0, 2]);
  });

  it('make a failed flush lose writes that reads still show and no later flush saves', async () => {
    let lost = 0;
    for (let seed = 0; seed < 20; seed++) {
      const { medium, device } = setUp({ seed });
      device.inject({ kind: 'flush', after: 0, effect: 'fail' });
      await device.write(0, [block(1)]);
      await expect(device.flush()).rejects.toMatchObject({ code: 'DEVICE_FLUSH_FAILED' });
      await device.flush();
      expect((await readBlock(device, 0))[0]).toBe(1);
      if (outcomes(medium, 0).has(0)) lost++;
    }
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(20);
  });

  it('tell whichever flush ends next of what another one has lost, once', async () => {
    let lost = 0;
    for (let seed = 0; seed < 20; seed++) {
      const { medium, device } = setUp({ seed });
      device.inject({ kind: 'flush', after: 0, effect: 'tell-another', byMs: 50 });
      const ended: string[] = [];
      const note = (name: string, write: Promise<void>): Promise<void> =>
        write.then(
          () => void ended.push(`${name} durable`),
          (error: unknown) => {
            expect(error).toMatchObject({ code: 'DEVICE_FLUSH_FAILED' });
            ended.push(`${name} failed`);
          },
        );
      const writes = [
        note('first', device.writeDurably(0, [block(1)])),
        note('second', device.writeDurably(4096, [block(2)])),
      ];
      await Promise.all(writes);
      await device.flush();
      expect(['first failed', 'second failed']).toContain(ended[0]);
      expect(ended[1]).toMatch(/durable$/);
      if (outcomes(medium, 0).has(0) || outcomes(medium, 4096).has(0)) lost++;
    }
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(20);
  });

  it('tell the flush itself when no other is on its way', async () => {
    const { device } = setUp();
    device.inject({ kind: 'flush', after: 0, effect: 'tell-another' });
    const write = device.writeDurably(0, [block(1)]);
    await expect(write).rejects.toMatchObject({ code: 'DEVICE_FLUSH_FAILED' });
    await device.writeDurably(0, [block(1)]);
  });

  it('lose, misdirect and corrupt silently', async () => {
    const { medium, device } = setUp();
    device.inject({ kind: 'write', after: 0, effect: 'lose' });
    device.inject({ kind: 'write', after: 1, effect: 'misdirect', byBytes: 4096 });
    await device.write(0, [block(1)]);
    await device.write(8192, [block(2)]);
    expect([0, 8192, 12288].map((offset) => medium.peek(offset, 1)[0])).toEqual([0, 0, 2]);
    device.inject({ kind: 'write', after: 0, effect: 'misdirect', byBytes: 4096 });
    await device.write(device.sizeBytes - 4096, [block(3)]);
    expect(medium.peek(0, 1)[0]).toBe(3);
    device.inject({ kind: 'read', after: 0, effect: 'corrupt' });
    const bits = (await readBlock(device, 12288)).filter((byte) => byte !== 2);
    expect(bits.length).toBe(1);
    expect(new Set(await readBlock(device, 12288))).toEqual(new Set([2]));
  });

  it('delay an operation, which then happens', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const { medium, device } = setUp({ clock });
    device.inject({ kind: 'write', after: 0, effect: 'delay', byMs: 5000 });
    const order: number[] = [];
    const late = device.write(0, [block(1)]).then(() => order.push(1));
    await device.write(4096, [block(2)]).then(() => order.push(2));
    expect(medium.peek(0, 1)[0]).toBe(0);
    await late;
    expect(order).toEqual([2, 1]);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(5000);
    expect(medium.peek(0, 1)[0]).toBe(1);
  });

  it('rot bits on the medium until they are written again', async () => {
    const { medium, device } = setUp();
    await device.write(0, [block(1)]);
    await device.flush();
    medium.corrupt(5, 0x80);
    expect((await readBlock(device, 0))[5]).toBe(0x81);
    expect(medium.crash(new SeededRandom(1)).peek(5, 1)[0]).toBe(0x81);
    await device.write(0, [block(1)]);
    expect((await readBlock(device, 0))[5]).toBe(1);
  });
});
