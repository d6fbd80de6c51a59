/** Sizes as people write and read them: `20GiB`, `1.5TB`, `4096`. */
import { CommandError } from './errors.ts';

/**
 * Units by their suffix in lower case. A bare `G` is not among them: half of the world reads it as
 * 2^30 and half as 10^9. `Gi` is there because Kubernetes writes it.
 */
const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kib: 2 ** 10,
  ki: 2 ** 10,
  mib: 2 ** 20,
  mi: 2 ** 20,
  gib: 2 ** 30,
  gi: 2 ** 30,
  tib: 2 ** 40,
  ti: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/** Reads a size; the result is a whole number of bytes, 1 or more. Throws `USAGE_INVALID`. */
export function parseSizeBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unitBytes = UNIT_BYTES[match?.[2]?.toLowerCase() ?? '?'];
  const sizeBytes = Math.floor(Number(match?.[1]) * (unitBytes ?? Number.NaN));
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
    throw new CommandError(
      `"${text}" is not a size; write bytes or a number with KiB, MiB, GiB, TiB (or KB, MB, GB, TB), such as 20GiB`,
      { code: 'USAGE_INVALID' },
    );
  }
  return sizeBytes;
}

/** Writes a size for people, with at most one digit behind the point: `20 GiB`, `1.5 MiB`. */
export function formatSize(sizeBytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}
