/** Makes a device ours: superblocks and an empty claim ring. Everything on it is lost. */
import { assert, equalBytes } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import { refuseIntervals } from '@dozo/claim';
import { EngineError } from './errors.ts';
import { planGeometry } from './geometry.ts';
import type { GeometryOptions } from './geometry.ts';
import { BEAT_INTERVAL_MS_DEFAULT, LEASE_MS_DEFAULT } from './limits.ts';
import { describeContent } from './read-superblock.ts';
import { encodeSuperblock } from './superblock.ts';
import type { Superblock } from './superblock.ts';

export interface FormatOptions extends GeometryOptions {
  readonly device: Device;
  readonly clock: Clock;
  readonly random: Random;
  /** Formats over whatever is there. Default: only a device that begins with zeros is formatted. */
  readonly force?: boolean;
  /** Only this machine can reach the device, by one path: its kernel arbitrates alone. Default false. */
  readonly isLocal?: boolean;
  /** How often a holder shows that it lives, and how long that counts, in ms. Default 1 s and 5 s. */
  readonly beatIntervalMs?: number;
  readonly leaseMs?: number;
}

/** Bytes of zeros that are written at once. */
const ZEROS_BYTES = 1024 * 1024;

/**
 * Formats a device and flushes.
 *
 * The first superblock is written last: a device whose formatting was cut off is not ours. Rejects
 * with `DEVICE_NOT_EMPTY`, `DEVICE_TOO_SMALL`, `INTERVALS_REFUSED` and the device's errors.
 */
export async function formatDevice(options: FormatOptions): Promise<Superblock> {
  const { device } = options;
  const { beatIntervalMs = BEAT_INTERVAL_MS_DEFAULT, leaseMs = LEASE_MS_DEFAULT } = options;
  checkIntervals(device, beatIntervalMs, leaseMs);
  const geometry = planGeometry(device.sizeBytes, options);
  if ('neededBytes' in geometry) {
    const { neededBytes } = geometry;
    throw new EngineError(
      `Formatting ${device.path}: it has ${device.sizeBytes} bytes; at least ${neededBytes} are ` +
        'needed. Nothing was changed. Use a larger device.',
      {
        code: 'DEVICE_TOO_SMALL',
        path: device.path,
        sizeBytes: device.sizeBytes,
        neededBytes,
      },
    );
  }
  if (options.force !== true) await refuseContent(device);
  const superblock: Superblock = {
    deviceId: options.random.bytes(16),
    geometry,
    beatIntervalMs,
    leaseMs,
    isLocal: options.isLocal ?? false,
    createdWallMs: options.clock.wallMs(),
  };
  // What was there first goes away, so that nothing can take a half-made device for the old one.
  await writeZeros(device, 0, geometry.segmentAreaOffset);
  await device.flush();
  const block = encodeSuperblock(superblock);
  await device.write(geometry.superblockCopyOffset, [block]);
  await device.flush();
  await device.write(0, [block]);
  await device.flush();
  return superblock;
}

function checkIntervals(device: Device, beatIntervalMs: number, leaseMs: number): void {
  const reason = refuseIntervals(beatIntervalMs, leaseMs);
  if (reason === undefined) return;
  throw new EngineError(`Formatting ${device.path}: ${reason}. Nothing was changed.`, {
    code: 'INTERVALS_REFUSED',
    reason,
  });
}

async function refuseContent(device: Device): Promise<void> {
  const found = await describeContent(device);
  if (found === undefined) return;
  throw new EngineError(
    `Formatting ${device.path}: it holds ${found}. Nothing was changed. If that may be lost for ` +
      'good, format it with --force.',
    { code: 'DEVICE_NOT_EMPTY', path: device.path, found },
  );
}

/**
 * Makes a range read as zeros. What does already is left alone: blocks of a file that were allocated and
 * never written cost nothing to read, and a holder reads the whole ring with every beat.
 */
async function writeZeros(device: Device, start: number, end: number): Promise<void> {
  assert(start <= end, 'a range ends after it starts');
  const zeros = new Uint8Array(ZEROS_BYTES);
  const found = new Uint8Array(ZEROS_BYTES);
  for (let offset = start; offset < end; offset += ZEROS_BYTES) {
    const sizeBytes = Math.min(ZEROS_BYTES, end - offset);
    const there = found.subarray(0, sizeBytes);
    await device.readUncached(offset, there);
    if (equalBytes(there, zeros.subarray(0, sizeBytes))) continue;
    await device.write(offset, [zeros.subarray(0, sizeBytes)]);
  }
}
