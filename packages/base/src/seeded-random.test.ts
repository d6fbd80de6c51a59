import { describe, expect, it } from 'vitest';

import { SeededRandom } from './seeded-random.ts';

describe('SeededRandom', () => {
  it('gives the same run for the same seed, and never changes between releases', () => {
    const first = new SeededRandom('seed');
    const second = new SeededRandom('seed');
    expect(first.bytes(100)).toEqual(second.bytes(100));
    const golden = new SeededRandom(7);
    expect([golden.uint32(), golden.below(1000), golden.bytes(3)]).toMatchInlineSnapshot(`
      [
        3871223493,
        394,
        Uint8Array [
          226,
          173,
          46,
        ],
      ]
    `);
  });

  it('derives generators that neither disturb nor resemble each other', () => {
    const random = new SeededRandom(1);
    const parts = ['a', 'b', ''].map((name) => random.derive(name).uint32());
    expect(new Set([...parts, random.uint32()]).size).toBe(4);
    expect(new SeededRandom(1).uint32()).not.toBe(new SeededRandom(2).uint32());
    expect(new SeededRandom(1).derive('a').uint32()).toBe(parts[0]);
  });

  it('shuffles into a permutation and picks what is there', () => {
    const random = new SeededRandom(1);
    const items = Array.from({ length: 50 }, (_, index) => index);
    const shuffled = [...items];
    random.shuffle(shuffled);
    expect(shuffled).not.toEqual(items);
    expect(shuffled.toSorted((left, right) => left - right)).toEqual(items);
    expect(items).toContain(random.pick(items));
    expect(() => random.pick([])).toThrow('nothing');
  });

  it('takes chances about as often as it is told', () => {
    const random = new SeededRandom(1);
    let taken = 0;
    for (let round = 0; round < 10_000; round++) if (random.chance(0.3)) taken++;
    expect(taken).toBeGreaterThan(2_800);
    expect(taken).toBeLessThan(3_200);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
  });
});
