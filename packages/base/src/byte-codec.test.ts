import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { hexOfBytes } from './bytes.ts';
import { CodecError } from './codec-error.ts';

const TEXT_BYTES_MAX = 10_000;

const field = fc.oneof(
  fc.record({ kind: fc.constant('uint8' as const), value: fc.nat({ max: 255 }) }),
  fc.record({ kind: fc.constant('uint16' as const), value: fc.nat({ max: 65_535 }) }),
  fc.record({ kind: fc.constant('uint32' as const), value: fc.nat({ max: 2 ** 32 - 1 }) }),
  fc.record({ kind: fc.constant('uint64' as const), value: fc.maxSafeNat() }),
  fc.record({
    kind: fc.constant('bigUint64' as const),
    value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('sizedBytes' as const), value: fc.uint8Array() }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'binary' }) }),
);
type Field = typeof field extends fc.Arbitrary<infer Value> ? Value : never;

function write(fields: readonly Field[]): Uint8Array {
  const writer = new ByteWriter(1);
  for (const { kind, value } of fields) {
    (writer[kind] as (value: unknown) => ByteWriter).call(writer, value);
  }
  return writer.finish();
}

function read(reader: ByteReader, kind: Field['kind']): unknown {
  if (kind === 'sizedBytes' || kind === 'text') return reader[kind](TEXT_BYTES_MAX);
  return reader[kind]();
}

describe('ByteWriter and ByteReader', () => {
  it('agree on every sequence of fields', () => {
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const reader = new ByteReader(write(fields), 'test');
        for (const { kind, value } of fields) expect(read(reader, kind)).toEqual(value);
        reader.expectEnd();
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it('notice when the input is cut short anywhere', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1 }), fc.nat(), (fields, cut) => {
        const bytes = write(fields);
        const reader = new ByteReader(bytes, 'test', 0, cut % bytes.length);
        const readAll = (): void => {
          for (const { kind } of fields) read(reader, kind);
        };
        expect(readAll).toThrow(CodecError);
      }),
    );
  });

  it('throw nothing but CodecError on any input', () => {
    const kinds = fc.array(field.map(({ kind }) => kind));
    fc.assert(
      fc.property(fc.uint8Array(), kinds, (bytes, order) => {
        const reader = new ByteReader(bytes, 'test');
        try {
          for (const kind of order) read(reader, kind);
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError);
        }
        expect(reader.offset).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });

  it('have a layout that does not change', () => {
    const writer = new ByteWriter();
    writer.uint8(1).uint16(2).uint32(3).uint64(4).bigUint64(5n).boolean(true);
    writer
      .text('é')
      .sizedBytes(new Uint8Array([9]))
      .bytes(new Uint8Array([8]))
      .zeros(1)
      .align(8);
    expect(hexOfBytes(writer.view())).toBe(
      '01' +
        '0200' +
        '03000000' +
        '0400000000000000' +
        '0500000000000000' +
        '01' +
        '02000000c3a9' +
        '0100000009' +
        '08' +
        '00' +
        '000000',
    );
    expect(writer.length).toBe(40);
    expect(writer.align(8).length).toBe(40);
  });
});

describe('ByteReader', () => {
  it('says what was read, where, and what is wrong', () => {
    const reader = new ByteReader(new Uint8Array([1, 2, 3, 4, 255]), 'superblock');
    reader.skip(4);
    expect(() => reader.uint16()).toThrow(
      'Reading superblock: a uint16 of 2 bytes is needed at offset 4, only 1 bytes are left.',
    );
    expect(() => reader.boolean()).toThrow(
      'Reading superblock at offset 4: a boolean is neither 0 nor 1.',
    );
    expect(reader.invalid('the magic is unknown').message).toContain('the magic is unknown');
  });

  it('tells too short from invalid', () => {
    const codeOf = (action: () => void): string => {
      try {
        action();
      } catch (error) {
        return (error as CodecError).code;
      }
      return 'none';
    };
    const reader = (...bytes: number[]): ByteReader =>
      new ByteReader(new Uint8Array(bytes), 'test');
    expect(codeOf(() => reader(1).uint16())).toBe('CODEC_TOO_SHORT');
    expect(codeOf(() => reader(5, 0, 0, 0, 1).sizedBytes(10))).toBe('CODEC_TOO_SHORT');
    expect(codeOf(() => reader(5, 0, 0, 0, 1).sizedBytes(4))).toBe('CODEC_INVALID');
    expect(codeOf(() => reader(1, 0, 0, 0, 255).text(4))).toBe('CODEC_INVALID');
    expect(codeOf(() => reader(0, 0, 0, 0, 0, 0, 32, 0).uint64())).toBe('CODEC_INVALID');
    expect(codeOf(() => reader(1).expectEnd())).toBe('CODEC_INVALID');
    expect(codeOf(() => reader(1).bytes(-1))).toBe('CODEC_TOO_SHORT');
    expect(codeOf(() => reader(1).bytes(Number.NaN))).toBe('CODEC_TOO_SHORT');
  });

  it('reads a part of an array and gives views or copies of it', () => {
    const bytes = new Uint8Array([0, 1, 2, 3, 4]);
    const reader = new ByteReader(bytes, 'test', 1, 4);
    const copy = reader.bytes(1);
    const view = reader.view(2);
    bytes.fill(9);
    expect([...copy, ...view]).toEqual([1, 9, 9]);
    reader.expectEnd();
    // A Buffer's own `slice` does not copy.
    const buffer = Buffer.from([1, 2]);
    const fromBuffer = new ByteReader(buffer, 'test').bytes(2);
    buffer.fill(9);
    expect([...fromBuffer]).toEqual([1, 2]);
  });
});

describe('ByteWriter', () => {
  it('asserts that values fit their fields', () => {
    const writer = new ByteWriter();
    for (const bad of [-1, 256, 0.5, Number.NaN]) expect(() => writer.uint8(bad)).toThrow('uint8');
    for (const bad of [-1, 2 ** 16, 0.5]) expect(() => writer.uint16(bad)).toThrow('uint16');
    for (const bad of [-1, 2 ** 32, 0.5]) expect(() => writer.uint32(bad)).toThrow('uint32');
    for (const bad of [-1, 2 ** 53, 0.5]) expect(() => writer.uint64(bad)).toThrow('uint64');
    for (const bad of [-1n, 2n ** 64n]) expect(() => writer.bigUint64(bad)).toThrow('uint64');
    expect(() => writer.text('\ud800')).toThrow('surrogate');
    expect(() => writer.zeros(-1)).toThrow('natural');
  });
});
