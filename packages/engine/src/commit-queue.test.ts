import { expect, test } from 'vitest';
import { CommitQueue } from './commit-queue.ts';
import type { QueuedBatch } from './commit-queue.ts';

function batch(bytes: number, chargeBytes: number): QueuedBatch {
  const told = (): void => undefined;
  const operations = [] as const;
  const rest = { spaceClass: 'grow', isCredited: false, resolve: told, reject: told } as const;
  return { operations, bytes, chargeBytes, ...rest };
}

function newQueue(): { readonly queue: CommitQueue; readonly credited: unknown[] } {
  const credited: unknown[] = [];
  const queue = new CommitQueue({
    enqueued: (added) => credited.push(added),
    dequeued: (left) => credited.splice(credited.indexOf(left), 1),
  });
  return { queue, credited };
}

test('a batch counts until it leaves, though its group is on its way', () => {
  const { queue, credited } = newQueue();
  const [first, second] = [batch(10, 4), batch(20, 5)];
  queue.add(first);
  queue.add(second);
  expect(queue.head).toBe(first);
  queue.takeHead();
  queue.trim();
  expect(queue.head).toBe(second);
  expect(queue.load).toEqual({ batchCount: 1, bytes: 30, chargeBytes: 9 });
  expect(credited).toEqual([first, second]);
  queue.leave(first);
  expect(queue.load).toEqual({ batchCount: 1, bytes: 20, chargeBytes: 5 });
  expect(queue.takeAll()).toEqual([second]);
  queue.leave(second);
  expect(queue.load).toEqual({ batchCount: 0, bytes: 0, chargeBytes: 0 });
  expect(credited).toEqual([]);
});

test('who waits for a look at the tree is part of the load, and not of the queue', () => {
  const { queue } = newQueue();
  const waiting = batch(10, 4);
  queue.beginLook(waiting);
  expect(queue.isLooking).toBe(true);
  expect(queue.length).toBe(0);
  expect(queue.load).toEqual({ batchCount: 1, bytes: 10, chargeBytes: 0 });
  queue.endLook(waiting);
  expect(queue.isLooking).toBe(false);
  expect(queue.load).toEqual({ batchCount: 0, bytes: 0, chargeBytes: 0 });
});

test('a long queue keeps its order when those that were taken are let go', () => {
  const { queue } = newQueue();
  const batches = Array.from({ length: 3000 }, (_, index) => batch(index, 0));
  for (const each of batches) queue.add(each);
  for (let count = 0; count < 2000; count++) queue.takeHead();
  queue.trim();
  expect(queue.length).toBe(1000);
  expect(queue.head).toBe(batches[2000]);
  expect(queue.takeAll()).toEqual(batches.slice(2000));
});

test('settling lasts as long as batches keep coming, and no longer', async () => {
  const { queue } = newQueue();
  let isOver = false;
  void queue.settle().then(() => {
    isOver = true;
  });
  for (let turn = 0; turn < 12; turn++) {
    queue.add(batch(1, 0));
    await Promise.resolve();
  }
  expect(isOver).toBe(false);
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
  expect(isOver).toBe(true);
});
