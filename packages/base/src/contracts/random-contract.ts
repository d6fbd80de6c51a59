/** What every Random must do. The statistics fail less than once in 10^9 runs of a good source. */
import { AssertionError } from '../assert.ts';
import { hexOfBytes } from '../bytes.ts';
import type { Random } from '../random.ts';
import { demand } from './contract.ts';
import type { ContractCase } from './contract.ts';

/** The contract of {@link Random}; each case gets a generator of its own. */
export function randomContract(make: () => Random): readonly ContractCase[] {
  const on = (name: string, check: (random: Random) => void): ContractCase => ({
    name,
    run: () => {
      check(make());
      return Promise.resolve();
    },
  });
  return [
    on('bytes come in new arrays of the length that was asked for', (random) => {
      for (const length of [0, 1, 3, 4, 16, 255, 256, 257, 5000, 100_000]) {
        demand(random.bytes(length).length === length, `there are ${length} bytes`);
      }
      const first = random.bytes(16);
      const before = hexOfBytes(first);
      const second = random.bytes(16);
      second.fill(0);
      demand(hexOfBytes(first) === before, 'arrays do not share memory');
    }),
    on('16 bytes never come twice', (random) => {
      const seen = new Set<string>();
      for (let draw = 0; draw < 1000; draw++) seen.add(hexOfBytes(random.bytes(16)));
      demand(seen.size === 1000, '1,000 draws are distinct');
    }),
    on('every byte is about as likely as any other', (random) => {
      const counts = new Uint32Array(256);
      for (const byte of random.bytes(256 * 1000)) counts[byte] = (counts[byte] ?? 0) + 1;
      demandEven(counts, 1000);
    }),
    on('below is even and inside its bound', (random) => {
      const counts = new Uint32Array(7);
      for (let draw = 0; draw < 7000; draw++) {
        const value = random.below(7);
        demand(Number.isInteger(value) && value >= 0 && value < 7, 'it is in [0, 7)');
        counts[value] = (counts[value] ?? 0) + 1;
      }
      demandEven(counts, 1000);
      demand(random.below(1) === 0, 'below(1) is 0');
    }),
    on('below is even for a bound that does not divide 2^32', (random) => {
      // A remainder without rejection would give the lower third twice as often as the rest.
      const bound = 3 * 2 ** 30;
      const counts = new Uint32Array(3);
      for (let draw = 0; draw < 3000; draw++) {
        const third = Math.floor(random.below(bound) / 2 ** 30);
        counts[third] = (counts[third] ?? 0) + 1;
      }
      demandEven(counts, 1000);
      let isLargeSeen = false;
      for (let draw = 0; draw < 100; draw++) isLargeSeen ||= random.below(2 ** 32) >= 2 ** 31;
      demand(isLargeSeen, 'below(2^32) reaches the upper half');
    }),
    on('below refuses a bound that is out of range', (random) => {
      for (const bound of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) {
        let error: unknown;
        try {
          random.below(bound);
        } catch (thrown) {
          error = thrown;
        }
        demand(error instanceof AssertionError, `a bound of ${bound} asserts`);
      }
    }),
    on('a fraction is in [0, 1) and even', (random) => {
      const counts = new Uint32Array(10);
      for (let draw = 0; draw < 10_000; draw++) {
        const value = random.fraction();
        demand(value >= 0 && value < 1, 'it is in [0, 1)');
        const tenth = Math.floor(value * 10);
        counts[tenth] = (counts[tenth] ?? 0) + 1;
      }
      demandEven(counts, 1000);
    }),
  ];
}

/** Each count is within seven standard deviations of `expected`. */
function demandEven(counts: Uint32Array, expected: number): void {
  const tolerance = 7 * Math.sqrt(expected);
  for (const count of counts) {
    demand(Math.abs(count - expected) < tolerance, `${count} is close to ${expected}`);
  }
}
