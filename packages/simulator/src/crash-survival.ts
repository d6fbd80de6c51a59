/**
 * Which parts of an unflushed write survive a crash.
 *
 * A disk promises nothing about a write that was not flushed. Real ones keep whole sectors of 512
 * bytes, mostly blocks of 4 KiB; which ones is anybody's guess. The guesses made here favour what has
 * broken storage systems: all or nothing, a prefix, a suffix, a hole, a single block, random blocks,
 * and the same with sectors inside one block.
 */
import type { SeededRandom } from '@dozo/base';

/** The smallest unit that a disk writes whole, in bytes. */
const SECTOR_BYTES = 512;
/** The unit that most disks write whole, in bytes. */
const BLOCK_BYTES = 4096;

/**
 * How finely a crash may tear a write: not at all, at 4 KiB blocks, or at 512-byte sectors.
 */
export type Tearing = 'none' | 'block' | 'sector';

/** A range `[start, end)` inside a write. */
export interface SurvivingRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Draws what survives of a write at `[offset, offset + sizeBytes)` that has not been flushed.
 *
 * @param keepProbability how likely an untorn write survives whole.
 * @returns ranges relative to the write, ascending; empty when it is lost.
 */
export function drawSurvivors(
  random: SeededRandom,
  tearing: Tearing,
  write: { readonly offset: number; readonly sizeBytes: number },
  keepProbability: number,
): readonly SurvivingRange[] {
  const isTorn = tearing !== 'none' && random.chance(0.4);
  if (!isTorn) {
    return random.chance(keepProbability) ? [{ start: 0, end: write.sizeBytes }] : [];
  }
  const usesSectors = tearing === 'sector' && random.chance(0.5);
  const unitBytes = usesSectors ? SECTOR_BYTES : BLOCK_BYTES;
  return drawUnits(random, write, unitBytes);
}

function drawUnits(
  random: SeededRandom,
  write: { readonly offset: number; readonly sizeBytes: number },
  unitBytes: number,
): readonly SurvivingRange[] {
  const firstUnit = Math.floor(write.offset / unitBytes);
  const unitCount = Math.ceil((write.offset + write.sizeBytes) / unitBytes) - firstUnit;
  const survives = drawPattern(random, unitCount);
  const ranges: SurvivingRange[] = [];
  for (let unit = 0; unit < unitCount; unit++) {
    if (!survives(unit)) continue;
    const start = Math.max((firstUnit + unit) * unitBytes - write.offset, 0);
    const end = Math.min((firstUnit + unit + 1) * unitBytes - write.offset, write.sizeBytes);
    ranges.push({ start, end });
  }
  return ranges;
}

function drawPattern(random: SeededRandom, unitCount: number): (unit: number) => boolean {
  const first = random.below(unitCount + 1);
  const second = random.below(unitCount + 1);
  const from = Math.min(first, second);
  const to = Math.max(first, second);
  switch (random.below(6)) {
    case 0:
      return (unit) => unit < first;
    case 1:
      return (unit) => unit >= first;
    case 2:
      return (unit) => unit < from || unit >= to;
    case 3:
      return (unit) => unit >= from && unit < to;
    case 4:
      // All but one: the kind of damage that a careless check of the ends does not see.
      return (unit) => unit !== first;
    default:
      return () => random.chance(0.5);
  }
}
