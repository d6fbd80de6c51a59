/**
 * CRC-32C (Castagnoli), the checksum of every record, block and frame.
 *
 * Polynomial 0x1EDC6F41, reflected 0x82F63B78, initial value and final xor 0xFFFFFFFF, as in iSCSI
 * (RFC 3720, appendix B.4). Two ways to the same number, chosen by measuring: short inputs in
 * JavaScript with eight tables, eight bytes a step, because they are over before a call would pay;
 * from {@link MACHINE_BYTES_MIN} on in WebAssembly. Neither needs anything native:
 * docs/decisions/0013-crc32c.md has the figures.
 */
import { LANES, makeMachine } from './crc32c-wasm.ts';
import type { Crc32cMachine } from './crc32c-wasm.ts';

/** Bytes of a lane of the machine, small first; powers of two. */
const LANE_SIZES = [512, 4096];
const SMALL_RUN_BYTES = 512 * LANES;
const LARGE_RUN_BYTES = 4096 * LANES;
/** From here on the machine is faster, the copy into its memory included. */
const MACHINE_BYTES_MIN = SMALL_RUN_BYTES;

/** 8 tables of 256: table k advances a byte over k more zero bytes. */
const TABLES = makeTables();

/** Made when it is first needed; `null` where there can be none. */
let machine: Crc32cMachine | undefined | null;

/**
 * The CRC-32C of `bytes`, an integer in `[0, 2^32)`.
 *
 * @param seed the CRC-32C of what comes before: `crc32c(second, crc32c(first))` is the CRC-32C of
 *   both in a row. Default: nothing comes before.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  if (bytes.length >= MACHINE_BYTES_MIN) {
    if (machine === undefined) machine = openMachine();
    if (machine !== null) return runMachine(machine, bytes, seed);
  }
  return ~runTables(bytes, 0, ~seed) >>> 0;
}

/** What {@link crc32c} does with short inputs, and with all where there is no WebAssembly. */
export function portableCrc32c(bytes: Uint8Array, seed = 0): number {
  return ~runTables(bytes, 0, ~seed) >>> 0;
}

function runMachine(runner: Crc32cMachine, bytes: Uint8Array, seed: number): number {
  const length = bytes.length;
  let state = ~seed;
  let index = 0;
  for (; index + LARGE_RUN_BYTES <= length; index += LARGE_RUN_BYTES) {
    runner.input.set(bytes.subarray(index, index + LARGE_RUN_BYTES));
    state = runner.run(state, 1);
  }
  for (; index + SMALL_RUN_BYTES <= length; index += SMALL_RUN_BYTES) {
    runner.input.set(bytes.subarray(index, index + SMALL_RUN_BYTES));
    state = runner.run(state, 0);
  }
  return ~runTables(bytes, index, state) >>> 0;
}

/** Advances `state` (not inverted) over `bytes` from `start` on. */
function runTables(bytes: Uint8Array, start: number, state: number): number {
  const tables = TABLES;
  const length = bytes.length;
  let crc = state;
  let index = start;
  for (const end = length - 7; index < end; index += 8) {
    crc ^=
      (bytes[index] as number) |
      ((bytes[index + 1] as number) << 8) |
      ((bytes[index + 2] as number) << 16) |
      ((bytes[index + 3] as number) << 24);
    crc =
      (tables[1792 + (crc & 255)] as number) ^
      (tables[1536 + ((crc >>> 8) & 255)] as number) ^
      (tables[1280 + ((crc >>> 16) & 255)] as number) ^
      (tables[1024 + (crc >>> 24)] as number) ^
      (tables[768 + (bytes[index + 4] as number)] as number) ^
      (tables[512 + (bytes[index + 5] as number)] as number) ^
      (tables[256 + (bytes[index + 6] as number)] as number) ^
      (tables[bytes[index + 7] as number] as number);
  }
  for (; index < length; index++) {
    crc = (tables[(crc ^ (bytes[index] as number)) & 255] as number) ^ (crc >>> 8);
  }
  return crc;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
    tables[byte] = value;
  }
  for (let index = 256; index < tables.length; index++) {
    const previous = tables[index - 256] as number;
    tables[index] = (previous >>> 8) ^ (tables[previous & 255] as number);
  }
  return tables;
}

function openMachine(): Crc32cMachine | null {
  try {
    return makeMachine(TABLES, LANE_SIZES, LANE_SIZES.map(makeJoinTables)) ?? null;
  } catch {
    return null;
  }
}

/** The map of a state over `laneBytes` zero bytes, as one table for each byte of the state. */
function makeJoinTables(laneBytes: number): Int32Array {
  // The map is linear: it is known by what it makes of each single bit. Squaring doubles its length.
  let images = Int32Array.from({ length: 32 }, (_, bit) => {
    const state = 1 << bit;
    return (TABLES[state & 255] as number) ^ (state >>> 8);
  });
  for (let length = 1; length < laneBytes; length *= 2) {
    const shorter = images;
    images = shorter.map((image) => applyMap(shorter, image));
  }
  return Int32Array.from({ length: 1024 }, (_, index) =>
    applyMap(images, (index & 255) << (8 * (index >>> 8))),
  );
}

function applyMap(images: Int32Array, state: number): number {
  let result = 0;
  for (let bit = 0; bit < 32; bit++) {
    if ((state >>> bit) & 1) result ^= images[bit] as number;
  }
  return result;
}
