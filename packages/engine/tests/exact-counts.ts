/**
 * Holds `keyCount` and the live bytes of the log against what is really there.
 *
 * Before it is known what the last writes hide, live bytes are an upper bound and the count of keys is an
 * estimate. A moment after the last write both are exact: the clock is moved on to that moment. Whether
 * each segment is charged with the right ones of those bytes is for `range-accounting.test.ts`.
 */
import type { SimulatedClock } from '@dozo/simulator';
import type { Engine, EngineStats } from '../src/index.ts';
import { SETTLE_IDLE_MS } from '../src/limits.ts';
import { recordBytesOf } from '../src/record.ts';
import { isInline } from '../src/space.ts';

/** Looks that are taken, each a moment after the one before. Flushes and merges go on meanwhile. */
const LOOKS_MAX = 500;

/** A key and its value. */
interface Row {
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** What there really is. */
export interface Counts {
  readonly keyCount: number;
  /** Of records in the log: short values stand in the tree. */
  readonly logBytes: number;
}

export function countsOf(rows: Iterable<Row>): Counts {
  let keyCount = 0;
  let logBytes = 0;
  for (const { keyBytes, valueBytes } of rows) {
    keyCount++;
    if (!isInline(valueBytes)) logBytes += recordBytesOf(keyBytes, valueBytes);
  }
  return { keyCount, logBytes };
}

/** What is wrong with the statistics at a moment at which no batch is on its way. */
export function problemAtAnyMoment(stats: EngineStats, counts: Counts): string | undefined {
  const logBytes = stats.tree?.logLiveBytes ?? 0;
  if (logBytes >= counts.logBytes) return undefined;
  return `stats: ${logBytes} live bytes in the log, really ${counts.logBytes}: too few`;
}

/** Lets time pass until the statistics are exact, and says what is wrong if they never are. */
export async function problemWhenSettled(
  engine: Engine,
  clock: SimulatedClock,
  counts: Counts,
): Promise<string | undefined> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const stats = engine.stats();
    const tooFew = problemAtAnyMoment(stats, counts);
    if (tooFew !== undefined) return tooFew;
    if (stats.tree?.logLiveBytes === counts.logBytes && stats.keyCount === counts.keyCount) {
      return undefined;
    }
    await clock.advance(SETTLE_IDLE_MS / 4);
  }
  const { keyCount, tree } = engine.stats();
  return (
    `stats, settled: ${keyCount} keys and ${tree?.logLiveBytes ?? 0} live bytes in the log, ` +
    `really ${counts.keyCount} and ${counts.logBytes}`
  );
}
