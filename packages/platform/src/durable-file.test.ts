import { describe, expect, it } from 'vitest';
import { DurableFile } from './durable-file.ts';
import { DURABLE_DESCRIPTIONS_MAX } from './limits.ts';

const FIRST = 3;

/** Writes that end when they are told to, and the descriptions that they have. */
function newWrites(file: DurableFile): {
  readonly running: number[];
  readonly begin: () => Promise<void>;
  readonly end: () => Promise<void>;
} {
  const running: number[] = [];
  const ends: (() => void)[] = [];
  const turn = async (): Promise<void> => {
    for (let count = 0; count < 10; count++) await Promise.resolve();
  };
  const begin = async (): Promise<void> => {
    void file.write(async (descriptor) => {
      running.push(descriptor);
      await new Promise<void>((resolve) => ends.push(resolve));
      running.splice(running.indexOf(descriptor), 1);
    });
    await turn();
  };
  const end = async (): Promise<void> => {
    ends.shift()?.();
    await turn();
  };
  return { running, begin, end };
}

describe('descriptions for durable writes', () => {
  it('never serve two writes at once, are used again, and are bounded', async () => {
    let next = 100;
    const file = new DurableFile(FIRST, () => Promise.resolve(next++));
    const { running, begin, end } = newWrites(file);
    await begin();
    await end();
    await begin();
    expect(running).toEqual([100]);
    for (let count = 0; count < 2 * DURABLE_DESCRIPTIONS_MAX; count++) await begin();
    expect(running.length).toBe(DURABLE_DESCRIPTIONS_MAX);
    for (let count = 0; count < DURABLE_DESCRIPTIONS_MAX; count++) {
      expect(new Set(running).size).toBe(DURABLE_DESCRIPTIONS_MAX);
      await end();
    }
    for (let count = 0; count < DURABLE_DESCRIPTIONS_MAX + 1; count++) await end();
    expect(running).toEqual([]);
    expect(next).toBe(100 + DURABLE_DESCRIPTIONS_MAX);
  });

  it('wait for those that there are when no more can be opened', async () => {
    let openCount = 0;
    const open = (): Promise<number> =>
      openCount++ === 0 ? Promise.resolve(100) : Promise.reject(new Error('EMFILE'));
    const { running, begin, end } = newWrites(new DurableFile(FIRST, open));
    for (let count = 0; count < 3; count++) await begin();
    for (let count = 0; count < 3; count++) {
      expect(running).toEqual([100]);
      await end();
    }
    expect(running).toEqual([]);
    expect(openCount).toBe(2);
  });

  it('are replaced by the first one, one write after the other, where there are none', async () => {
    const file = new DurableFile(-1, undefined);
    const running: number[] = [];
    const write = async (descriptor: number): Promise<void> => {
      running.push(descriptor);
      expect(running).toEqual([-1]);
      await Promise.resolve();
      running.pop();
    };
    const outcomes = await Promise.allSettled([file.write(write), file.write(write)]);
    // Each is followed by a sync, which nobody can do through that descriptor.
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(running).toEqual([]);
  });
});
