/**
 * Whether anything is on a device that is about to be formatted.
 *
 * A small device is read whole. Of a large one the head and the tail are read, where partition
 * tables, file systems and RAID labels lie, and samples evenly spread between them: reading all of a
 * disk of many TB would take hours. So a large device that passes may still hold data that no known
 * structure leads to; docs/operations/devices.md says so.
 */
import type { Device } from '@dozo/base';

import {
  BLANK_CHECK_EDGE_BYTES,
  BLANK_CHECK_SAMPLE_BYTES,
  BLANK_CHECK_SAMPLES,
  BLANK_CHECK_WHOLE_BYTES,
} from '../limits.ts';

/** Reads are made in pieces of so many bytes. */
const PIECE_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(PIECE_BYTES);

interface Span {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Byte offset of the first byte found that is not zero; undefined if only zeros were found. */
export async function findContent(device: Device): Promise<number | undefined> {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, device.sizeBytes));
  for (const span of spansToRead(device.sizeBytes)) {
    for (let done = 0; done < span.sizeBytes; done += piece.length) {
      const into = piece.subarray(0, Math.min(piece.length, span.sizeBytes - done));
      await device.read(span.offset + done, into);
      const found = indexOfNonZero(into);
      if (found !== -1) return span.offset + done + found;
    }
  }
  return undefined;
}

/** The places that are read, in order. */
export function spansToRead(deviceBytes: number): readonly Span[] {
  if (deviceBytes <= BLANK_CHECK_WHOLE_BYTES) return [{ offset: 0, sizeBytes: deviceBytes }];
  const spans: Span[] = [{ offset: 0, sizeBytes: BLANK_CHECK_EDGE_BYTES }];
  const between = deviceBytes - 2 * BLANK_CHECK_EDGE_BYTES - BLANK_CHECK_SAMPLE_BYTES;
  for (let index = 0; index < BLANK_CHECK_SAMPLES; index += 1) {
    const exact = BLANK_CHECK_EDGE_BYTES + (between * index) / (BLANK_CHECK_SAMPLES - 1);
    // Aligned, because a device may be open for direct access.
    const offset = exact - (exact % BLANK_CHECK_SAMPLE_BYTES);
    spans.push({ offset, sizeBytes: BLANK_CHECK_SAMPLE_BYTES });
  }
  const tail = deviceBytes - BLANK_CHECK_EDGE_BYTES;
  spans.push({ offset: tail, sizeBytes: BLANK_CHECK_EDGE_BYTES });
  return spans;
}

function indexOfNonZero(bytes: Uint8Array): number {
  return ZEROS.subarray(0, bytes.length).equals(bytes) ? -1 : bytes.findIndex((byte) => byte !== 0);
}
