/** Reads places of a device as far as the device can: zeros stand for the blocks that it cannot read. */
import { hasCode } from '@dozo/base';
import { BLOCK_BYTES } from './limits.ts';
import { LogSource } from './log-walk.ts';

/** See the file comment. Reads past the page cache. For repair: a checksum never fits zeros of ours. */
export class RescueSource extends LogSource {
  override async read(segment: number, offset: number, sizeBytes: number): Promise<Uint8Array> {
    try {
      return await this.readUncached(segment, offset, sizeBytes);
    } catch (error) {
      if (!hasCode(error, 'DEVICE_READ_FAILED')) throw error;
    }
    const bytes = new Uint8Array(sizeBytes);
    for (let at = 0; at < sizeBytes;) {
      const end = Math.min(sizeBytes, at + BLOCK_BYTES - ((offset + at) % BLOCK_BYTES));
      try {
        bytes.set(await this.readUncached(segment, offset + at, end - at), at);
      } catch (error) {
        if (!hasCode(error, 'DEVICE_READ_FAILED')) throw error;
      }
      at = end;
    }
    return bytes;
  }
}
