/** Sectors of a device that cannot be read from now on, and who tried. */
import { DeviceError } from '@dozo/base';
import type { SimulatedDevice } from '@dozo/simulator';

const SECTOR_BYTES = 4096;

/** See the file comment. */
export class BadSectors {
  /** Offsets of the sectors. */
  readonly offsets = new Set<number>();
  /** Reads that met one of them. */
  failedCount = 0;

  /** @param device whose reads fail there from now on. */
  constructor(device: SimulatedDevice) {
    for (const name of ['read', 'readUncached'] as const) {
      const read = device[name].bind(device);
      Object.assign(device, {
        [name]: async (offset: number, into: Uint8Array): Promise<void> => {
          await this.#refuse(device.path, offset, into.length);
          await read(offset, into);
        },
      });
    }
  }

  async #refuse(path: string, offset: number, sizeBytes: number): Promise<void> {
    const first = offset - (offset % SECTOR_BYTES);
    for (let sector = first; sector < offset + sizeBytes; sector += SECTOR_BYTES) {
      if (!this.offsets.has(sector)) continue;
      await Promise.resolve();
      this.failedCount++;
      const detail = { code: 'DEVICE_READ_FAILED', path, offset, cause: 'EIO' } as const;
      throw new DeviceError(`Reading ${sizeBytes} bytes from ${path}: EIO.`, detail);
    }
  }
}
