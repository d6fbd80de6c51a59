/** Writing all of many buffers, in as few calls as the kernel allows. */
import { writeAllAt } from './file-calls.ts';
import { WRITE_BUFFERS_MAX, WRITE_CALL_BYTES_MAX } from './limits.ts';

/** Writes until all is written or the kernel takes nothing any more; returns how much it took. */
export async function writeAll(
  descriptor: number,
  offset: number,
  buffers: readonly Uint8Array[],
  sizeBytes: number,
): Promise<number> {
  let rest = buffers;
  let done = 0;
  while (done < sizeBytes) {
    const count = await writeAllAt(descriptor, oneCall(rest), offset + done);
    if (count === 0) break;
    done += count;
    if (done < sizeBytes) rest = without(rest, count);
  }
  return done;
}

/** As many of `buffers` as the kernel takes in one call; at least one. */
function oneCall(buffers: readonly Uint8Array[]): readonly Uint8Array[] {
  let sizeBytes = 0;
  let count = 0;
  for (const buffer of buffers) {
    sizeBytes += buffer.length;
    if (count === WRITE_BUFFERS_MAX || (count > 0 && sizeBytes > WRITE_CALL_BYTES_MAX)) break;
    count++;
  }
  return count === buffers.length ? buffers : buffers.slice(0, count);
}

/** What is left of `buffers` after their first `count` bytes. */
function without(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  for (const [index, buffer] of buffers.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(index + 1)];
    left -= buffer.length;
  }
  return [];
}
