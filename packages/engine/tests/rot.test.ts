/** Bits that flip anywhere on the device: found when they are read, and never returned. */
import { SeededRandom, binaryStringOf } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import { GROUP_HEADER_BYTES } from '../src/group.ts';
import { headBytesOf } from '../src/record.ts';
import { blockKindOf } from './fault-life.ts';
import { BLOCK_BYTES, agedLife, flipAndRead, livePageGroups, writtenBlocks } from './rot-run.ts';

/** Kinds of blocks in which a flip must have been told at least once. */
const BLOCKS = ['group of put', 'group of page', 'inside of DOZOSEG1', 'inside of DOZOTAB1'];
const HEADS = ['superblock', 'header of DOZOSEG1', 'group of put', 'group of manifest'];
/** Flips in tables that must have been told, of those that are tried. */
const TOLD_IN_TABLES_MIN = 10;

describe('a bit that flips', () => {
  test('in any block of the device is never returned, and what it hit is told', async () => {
    const { life, medium, area } = await agedLife('rot');
    const random = new SeededRandom('rot/flips 2');
    const told = new Map<string, number>();
    for (const [index, block] of writtenBlocks(medium).entries()) {
      const offset = block + random.below(BLOCK_BYTES);
      const flip = { offset, mask: 1 << random.below(8), isOpen: index % 2 === 0 };
      const outcome = await flipAndRead(life, medium, flip);
      const kind = blockKindOf(medium, block, area);
      told.set(kind, (told.get(kind) ?? 0) + (outcome === 'intact' ? 0 : 1));
    }
    // Only an opening reads a page, and the next checkpoint ends its life: so these are not left to chance.
    for (const group of await livePageGroups(medium)) {
      const offset = group + GROUP_HEADER_BYTES + random.below(headBytesOf(0, 0));
      const flip = { offset, mask: 1 << random.below(8), isOpen: false };
      expect(await flipAndRead(life, medium, flip)).not.toBe('intact');
      const kind = blockKindOf(medium, group, area);
      told.set(kind, (told.get(kind) ?? 0) + 1);
    }
    // Otherwise the flips hit nothing that lives.
    for (const kind of BLOCKS) {
      expect(told.get(kind), kind).toBeGreaterThan(0);
    }
  });

  test('in the first bytes of every kind of block is told', async () => {
    const { life, medium, area } = await agedLife('rot heads');
    const told = new Map<string, number>();
    for (const block of writtenBlocks(medium)) {
      const kind = blockKindOf(medium, block, area);
      if (kind.startsWith('inside')) continue;
      const flip = { offset: block + 8, mask: 4, isOpen: false };
      const outcome = await flipAndRead(life, medium, flip);
      told.set(kind, (told.get(kind) ?? 0) + (outcome === 'intact' ? 0 : 1));
    }
    for (const kind of HEADS) {
      expect(told.get(kind), kind).toBeGreaterThan(0);
    }
  });

  test('in a value is found by the get of that value, and listed by verify', async () => {
    const { life, medium } = await agedLife('rot of values');
    const all = medium.peek(0, medium.sizeBytes);
    const bytes = Buffer.from(all.buffer, all.byteOffset, all.length);
    const before = await life.open(medium.fork());
    let foundCount = 0;
    for await (const { key, value = new Uint8Array(0) } of before.engine.scan({})) {
      if (value.length < 64) continue;
      const fork = medium.fork();
      // Reclaim and compaction leave copies behind: all of them rot.
      let at = bytes.indexOf(value);
      expect(at).toBeGreaterThan(0);
      for (; at >= 0; at = bytes.indexOf(value, at + 1)) fork.corrupt(at + (value.length >> 1), 16);
      const opened = await life.openDamaged(fork);
      if (opened === undefined) {
        foundCount++;
        continue;
      }
      const read = opened.engine.get(key).then(
        () => 'returned',
        (error: unknown) => error,
      );
      expect(await read, binaryStringOf(key)).toMatchObject({
        code: expect.stringMatching(/^(VALUE|INDEX)_DAMAGED$/) as unknown,
      });
      foundCount++;
      expect((await opened.engine.verify()).damages).not.toEqual([]);
      opened.device.halt();
    }
    before.device.halt();
    expect(foundCount).toBeGreaterThan(20);
  });

  test('in a table is told', async () => {
    const { life, medium, area } = await agedLife('rot of tables');
    const random = new SeededRandom('rot of tables');
    let toldCount = 0;
    for (const block of writtenBlocks(medium)) {
      if (blockKindOf(medium, block, area) !== 'inside of DOZOTAB1') continue;
      for (const isOpen of [true, false]) {
        const offset = block + random.below(BLOCK_BYTES);
        const flip = { offset, mask: 1 << random.below(8), isOpen };
        if ((await flipAndRead(life, medium, flip)) !== 'intact') toldCount++;
      }
    }
    expect(toldCount).toBeGreaterThan(TOLD_IN_TABLES_MIN);
  });

  test('would be returned if values were not checked', async () => {
    const { life, medium } = await agedLife('rot', { skipReadChecks: true });
    const random = new SeededRandom('rot/unchecked');
    const lie = async (): Promise<unknown> => {
      for (const block of writtenBlocks(medium)) {
        const flip = { offset: block + random.below(BLOCK_BYTES), mask: 2, isOpen: true };
        await flipAndRead(life, medium, flip);
      }
      return 'no lie';
    };
    await expect(lie()).rejects.toThrow(/wrong/);
  });

  test('would be returned if blocks of tables were not checked', async () => {
    const { life, medium } = await agedLife('rot of tables', { skipTableChecks: true });
    const lie = async (): Promise<void> => {
      for (const block of writtenBlocks(medium)) {
        for (const at of [100, 1500, 3000]) {
          await flipAndRead(life, medium, { offset: block + at, mask: 2, isOpen: true });
        }
      }
    };
    await expect(lie()).rejects.toThrow();
  });
});
