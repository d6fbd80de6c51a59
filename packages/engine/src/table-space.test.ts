import { describe, expect, test } from 'vitest';
import type { Catalog } from './catalog.ts';
import type { TableContent } from './table/table-meta.ts';
import { TableSpace } from './table-space.ts';
import type { TableSpaceOptions } from './table-space.ts';

/** A place for tables on a device without a free segment, and how often it was asked whether there is one. */
function newFullSpace(): { readonly space: TableSpace; readonly askedCount: () => number } {
  let askedCount = 0;
  const segments = {
    get availableCount(): number {
      askedCount++;
      return 0;
    },
  };
  const options = {
    catalog: { segments } as unknown as Catalog,
    superblock: { geometry: {} },
    assertServing: () => undefined,
    onWait: () => undefined,
    device: { path: 'test' },
  } as unknown as TableSpaceOptions;
  return { space: new TableSpace(options), askedCount: () => askedCount };
}

function writeTable(space: TableSpace): Promise<unknown> {
  const content = { sizeBytes: 0 } as unknown as TableContent;
  return space.write(new Uint8Array(0), content, 1, false);
}

test('tells how many lines of work wait for a place', async () => {
  const { space } = newFullSpace();
  expect(space.waitingCount).toBe(0);
  const writes = [writeTable(space), writeTable(space)];
  expect(space.waitingCount).toBe(2);
  expect(space.giveUp()).toBe(true);
  expect(space.waitingCount).toBe(0);
  for (const write of writes) await expect(write).rejects.toMatchObject({ code: 'DEVICE_FULL' });
});

describe('waiting for work that may have to wait for a segment', () => {
  test('ends with the work, as that does', async () => {
    const { space } = newFullSpace();
    await space.endOrWaiting(Promise.resolve());
    await expect(space.endOrWaiting(Promise.reject(new Error('work')))).rejects.toThrow('work');
  });

  test('ends when a table begins to wait, and at once while one does', async () => {
    const { space } = newFullSpace();
    const never = new Promise<void>(() => undefined);
    const waiting = space.endOrWaiting(never);
    const write = writeTable(space);
    await waiting;
    await space.endOrWaiting(never);
    expect(space.giveUp()).toBe(true);
    await expect(write).rejects.toMatchObject({ code: 'DEVICE_FULL' });
  });

  test('leaves nothing behind', async () => {
    const { space, askedCount } = newFullSpace();
    for (let count = 0; count < 1000; count++) await space.endOrWaiting(Promise.resolve());
    const before = askedCount();
    const write = writeTable(space);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    expect(askedCount() - before).toBeLessThan(10);
    space.giveUp();
    await expect(write).rejects.toMatchObject({ code: 'DEVICE_FULL' });
  });
});

/** A place for empty tables, each in a segment of its own, on a device that nobody asks for anything. */
function newSpace(segmentCount: number): {
  readonly space: TableSpace;
  readonly placedCount: () => number;
  readonly confirm: () => void;
  readonly leave: (count: number) => void;
} {
  let availableCount = segmentCount;
  let isConfirmed = false;
  let placedCount = 0;
  const options = {
    catalog: {
      segments: {
        get availableCount(): number {
          return availableCount;
        },
        addTable: () => {
          placedCount++;
        },
      },
    },
    superblock: { geometry: { segmentStrideBytes: 0 } },
    log: {
      takeTableSegment: () => {
        if (!isConfirmed) return undefined;
        availableCount--;
        return 0;
      },
      // What lay there is dead already: it is free at once, and somebody is told.
      closeTableSegment: () => {
        availableCount++;
        space.look();
      },
    },
    assertServing: () => undefined,
    onWait: () => undefined,
    device: { path: 'test' },
  } as unknown as TableSpaceOptions;
  const space = new TableSpace(options);
  return {
    space,
    placedCount: () => placedCount,
    confirm: () => {
      isConfirmed = true;
      space.look();
    },
    leave: (count) => {
      availableCount = count;
      space.look();
    },
  };
}

test('a table begins to wait when what was there for it has gone to others', async () => {
  const { space, leave } = newSpace(2);
  const write = writeTable(space);
  const waiting = space.endOrWaiting(new Promise<void>(() => undefined));
  expect(space.isWaiting).toBe(false);
  leave(1);
  expect(space.isWaiting).toBe(true);
  await waiting;
  space.giveUp();
  await expect(write).rejects.toMatchObject({ code: 'DEVICE_FULL' });
});

test('a table gets one place where the segment before is free as soon as it is left', async () => {
  const { space, placedCount, confirm } = newSpace(9);
  const writes = [writeTable(space), writeTable(space)];
  confirm();
  await Promise.all(writes);
  await writeTable(space);
  expect(placedCount()).toBe(3);
});
