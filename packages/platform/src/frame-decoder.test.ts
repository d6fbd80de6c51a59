import { concatBytes } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FrameDecoder } from './frame-decoder.ts';

function encode(frames: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    frames.flatMap((frame) => {
      const header = new Uint8Array(4);
      new DataView(header.buffer).setUint32(0, frame.length, true);
      return [header, frame];
    }),
  );
}

describe('FrameDecoder', () => {
  it('finds the same frames however the stream is cut', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 });
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
    fc.assert(
      fc.property(frames, cuts, (sent, sizes) => {
        const received: Uint8Array[] = [];
        const decoder = new FrameDecoder(50, (frame) => received.push(frame));
        const stream = encode(sent);
        for (let offset = 0, turn = 0; offset < stream.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          expect(decoder.push(stream.subarray(offset, offset + size))).toBe(true);
          offset += size;
        }
        expect(received).toEqual(sent);
        expect(decoder.isInsideFrame).toBe(false);
      }),
    );
  });

  it('holds a frame that trickles in byte by byte in few arrays', () => {
    const received: Uint8Array[] = [];
    const decoder = new FrameDecoder(100_000, (frame) => received.push(frame));
    const frame = Uint8Array.from({ length: 100_000 }, (_, index) => index * 7);
    for (const byte of encode([frame]).subarray(0, -1)) decoder.push(Uint8Array.of(byte));
    expect(decoder.heldPieceCount).toBeLessThan(15);
    decoder.push(frame.subarray(-1));
    expect(Buffer.compare(received[0] ?? new Uint8Array(0), frame)).toBe(0);
    expect(decoder.heldPieceCount).toBe(0);
  });

  it('refuses a frame that is too large before it has arrived', () => {
    const received: Uint8Array[] = [];
    const decoder = new FrameDecoder(50, (frame) => received.push(frame));
    expect(decoder.push(encode([new Uint8Array(50)]))).toBe(true);
    expect(decoder.push(new Uint8Array([51, 0]))).toBe(true);
    expect(decoder.isInsideFrame).toBe(true);
    expect(decoder.push(new Uint8Array([0, 0]))).toBe(false);
    expect(received.length).toBe(1);
  });
});
