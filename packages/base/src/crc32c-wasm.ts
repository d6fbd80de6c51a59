/**
 * CRC-32C of large inputs in WebAssembly.
 *
 * One table step depends on the one before, so a single chain of steps waits for memory most of the
 * time. The input is cut in four lanes of equal length whose chains run side by side, and their
 * results are joined: the CRC of a lane is carried over the lanes behind it with a linear map, which
 * is four table look-ups. Each step takes eight bytes with eight tables (slicing by 8).
 *
 * The module is assembled here, instruction by instruction, so that there is no binary to trust.
 * Source: Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC
 * Generators" (2005); WebAssembly Core Specification, chapter 5, for the encoding.
 */
import { assert } from './assert.ts';

/** Lanes that run side by side. */
export const LANES = 4;
/** Where in the memory what lies: 8 step tables, the joining tables, then the input. */
const STEP_TABLES_BYTES = 8 * 1024;
const JOIN_TABLES_BYTES = 4 * 1024;
const PAGE_BYTES = 65_536;

/** Advances `state` (not inverted) over `LANES * laneBytes` bytes that lie in `input`. */
export interface Crc32cMachine {
  readonly input: Uint8Array;
  /** @param size an index into the `laneSizes` that the machine was made with. */
  run(state: number, size: number): number;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly run: (state: number, input: number, laneBytes: number, joinTables: number) => number;
}

interface WebAssemblyRuntime {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/**
 * Makes the machine, or `undefined` where the runtime has no WebAssembly.
 *
 * @param tables the eight step tables of 256 words each.
 * @param laneSizes lengths of a lane in bytes, multiples of 8.
 * @param joinTables for each of them the map over so many zero bytes: four tables of 256 words, for
 *   the lowest byte of the state first.
 */
export function makeMachine(
  tables: Int32Array,
  laneSizes: readonly number[],
  joinTables: readonly Int32Array[],
): Crc32cMachine | undefined {
  const runtime = (globalThis as { WebAssembly?: WebAssemblyRuntime }).WebAssembly;
  // Some runtimes have none, or forbid making modules at run time.
  if (runtime === undefined) return undefined;
  const inputOffset = STEP_TABLES_BYTES + JOIN_TABLES_BYTES * laneSizes.length;
  const inputBytes = LANES * Math.max(...laneSizes);
  const pages = Math.ceil((inputOffset + inputBytes) / PAGE_BYTES);
  const instance = new runtime.Instance(new runtime.Module(assemble(pages)));
  const { memory, run } = instance.exports as Exports;
  const words = new Int32Array(memory.buffer);
  words.set(tables, 0);
  for (const [index, join] of joinTables.entries()) {
    words.set(join, (STEP_TABLES_BYTES + JOIN_TABLES_BYTES * index) / 4);
  }
  return {
    input: new Uint8Array(memory.buffer, inputOffset, inputBytes),
    run: (state, size) => {
      const laneBytes = laneSizes[size];
      assert(laneBytes !== undefined, 'no such lane size');
      return run(state, inputOffset, laneBytes, STEP_TABLES_BYTES + JOIN_TABLES_BYTES * size);
    },
  };
}

const I32 = 0x7f;

/** Numbers of the function's parameters and locals. */
const STATE = 0;
const INPUT = 1;
const LANE_BYTES = 2;
const JOIN_TABLES = 3;
const END = 4;
const WORD = 5;
const stateOf = (lane: number): number => (lane === 0 ? STATE : 5 + lane);
const inputOf = (lane: number): number => (lane === 0 ? INPUT : 8 + lane);
const LOCAL_COUNT = 8;

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const constant = (value: number): number[] => [0x41, ...signed(value)];
const load = (offset: number): number[] => [0x28, 2, ...unsigned(offset)];
const ADD = 0x6a;
const AND = 0x71;
const XOR = 0x73;
const SHIFT_LEFT = 0x74;
const SHIFT_RIGHT = 0x76;
const LESS_THAN = 0x49;
const LOOP = [0x03, 0x40];
const BRANCH_IF_0 = [0x0d, 0];
const END_BLOCK = 0x0b;

/** Leaves four times byte `index` of local `word` on the stack: the offset of its table entry. */
function entryOffset(word: number, index: number): number[] {
  const shift =
    index === 0 ? [...constant(2), SHIFT_LEFT] : [...constant(8 * index - 2), SHIFT_RIGHT];
  return [...get(word), ...shift, ...constant(1020), AND];
}

/** `state = tables(state ^ first word) ^ tables(second word)`; `input += 8`. */
function step(lane: number): number[] {
  const state = stateOf(lane);
  const input = inputOf(lane);
  const code = [...get(input), ...load(0), ...get(state), XOR, ...set(WORD)];
  for (let byte = 0; byte < 4; byte++) {
    code.push(...entryOffset(WORD, byte), ...load((7 - byte) * 1024));
    if (byte > 0) code.push(XOR);
  }
  code.push(...set(state), ...get(input), ...load(4), ...set(WORD), ...get(state));
  for (let byte = 0; byte < 4; byte++) {
    code.push(...entryOffset(WORD, byte), ...load((3 - byte) * 1024), XOR);
  }
  return [...code, ...set(state), ...get(input), ...constant(8), ADD, ...set(input)];
}

/** `state(0) = join(state(0)) ^ state(lane)`. */
function join(lane: number): number[] {
  const code: number[] = [...get(stateOf(lane))];
  for (let byte = 0; byte < 4; byte++) {
    code.push(...entryOffset(STATE, byte), ...get(JOIN_TABLES), ADD, ...load(byte * 1024), XOR);
  }
  return [...code, ...set(STATE)];
}

function assemble(pages: number): Uint8Array {
  const body: number[] = [];
  for (let lane = 1; lane < LANES; lane++) {
    body.push(...get(inputOf(lane - 1)), ...get(LANE_BYTES), ADD, ...set(inputOf(lane)));
  }
  body.push(...get(INPUT), ...get(LANE_BYTES), ADD, ...set(END), ...LOOP);
  for (let lane = 0; lane < LANES; lane++) body.push(...step(lane));
  body.push(...get(INPUT), ...get(END), LESS_THAN, ...BRANCH_IF_0, END_BLOCK);
  for (let lane = 1; lane < LANES; lane++) body.push(...join(lane));
  body.push(...get(STATE), END_BLOCK);
  const code = [1, LOCAL_COUNT, I32, ...body];
  const text = (value: string): number[] => [
    value.length,
    ...Array.from(value, (character) => character.charCodeAt(0)),
  ];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // Types, functions, memories, exports, code.
    ...section(1, [1, 0x60, 4, I32, I32, I32, I32, 1, I32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...unsigned(pages)]),
    ...section(7, [2, ...text('memory'), 2, 0, ...text('run'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** LEB128, unsigned. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

/** LEB128, signed, for values of zero and more. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 64) {
    bytes.push((rest & 127) | 128);
    rest >>= 7;
  }
  return [...bytes, rest];
}
