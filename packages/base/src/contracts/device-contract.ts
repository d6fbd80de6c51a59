/** What every Device must do, as far as it can be seen without a crash. */
import { equalBytes } from '../bytes.ts';
import type { Device, DeviceErrorDetail } from '../device.ts';
import { SeededRandom } from '../seeded-random.ts';
import { demand, demandRejection } from './contract.ts';
import type { ContractCase } from './contract.ts';

/** A device under test, of at least {@link DEVICE_CONTRACT_BYTES_MIN}. */
export interface DeviceUnderTest {
  /** Opens the same device, exclusively. */
  readonly open: () => Promise<Device>;
  /** Opens the same device for reading, without a lock. */
  readonly openReadOnly: () => Promise<Device>;
}

/** How large a device the contract needs, in bytes. */
export const DEVICE_CONTRACT_BYTES_MIN = 8 * 1024 * 1024;

const BLOCK = 4096;

/** The contract of {@link Device}; each case gets a device of its own, which nobody has open. */
export function deviceContract(
  make: () => DeviceUnderTest | Promise<DeviceUnderTest>,
): readonly ContractCase[] {
  const on = (
    name: string,
    check: (device: Device, under: DeviceUnderTest) => Promise<void>,
  ): ContractCase => ({
    name,
    run: async () => {
      const under = await make();
      const device = await under.open();
      try {
        await check(device, under);
      } finally {
        await device.close();
      }
    },
  });
  return [
    on('what was written is read back, and nothing beside it changes', readsWhatWasWritten),
    on('many buffers of all sizes become one run of bytes', writesManyBuffers),
    on('many operations may run at once', runsManyAtOnce),
    on('reading past the end is refused', async (device) => {
      const offset = device.sizeBytes - 100;
      const refused = demandRejection(
        device.read(offset, new Uint8Array(101)),
        'DEVICE_READ_FAILED',
      );
      demandDetail(await refused, device.path, offset);
    }),
    on('an offset that is no place of the device is refused, and nothing is written', (device) =>
      refusesNoPlace(device),
    ),
    on('writing past the end is refused and the size stays', async (device, under) => {
      const { sizeBytes } = device;
      const buffers = [new Uint8Array(50), new Uint8Array(51)];
      const refused = device.write(sizeBytes - 100, buffers);
      demandDetail(
        await demandRejection(refused, 'DEVICE_WRITE_FAILED'),
        device.path,
        sizeBytes - 100,
      );
      await device.close();
      const again = await under.open();
      demand(again.sizeBytes === sizeBytes, 'the size is what it was');
      await again.close();
    }),
    on('what was flushed is there after closing and opening again', keepsWhatWasFlushed),
    on('a durable write is read back, and refused outside the device', writesDurably),
    on('a discard leaves everything around it alone', discardsOnlyItsRange),
    on('a second exclusive opener is refused until the first has closed', excludesOthers),
    on('a reader without a lock gets in beside the holder', async (device, under) => {
      const bytes = new SeededRandom(7).bytes(BLOCK);
      await device.write(0, [bytes]);
      const reader = await under.openReadOnly();
      demand(reader.lockIdentity.kind === 'none', 'it holds no lock');
      demand(equalBytes(await readBytes(reader, 0, BLOCK), bytes), 'it sees what was written');
      await reader.close();
    }),
    on('closing waits for what runs, may be repeated, and ends everything', closes),
  ];
}

async function readsWhatWasWritten(device: Device): Promise<void> {
  demand(device.sizeBytes >= DEVICE_CONTRACT_BYTES_MIN, 'the device is large enough');
  const around = new SeededRandom(1).bytes(8 * BLOCK);
  await device.write(0, [around]);
  const bytes = new SeededRandom(2).bytes(2 * BLOCK);
  await device.write(3 * BLOCK, [bytes]);
  around.set(bytes, 3 * BLOCK);
  demand(equalBytes(await readBytes(device, 0, around.length), around), 'it is as written');
  const odd = await readBytes(device, 3 * BLOCK - 17, 1234);
  demand(equalBytes(odd, around.subarray(3 * BLOCK - 17, 3 * BLOCK - 17 + 1234)), 'at any offset');
  const last = bytes.subarray(0, BLOCK);
  await device.write(device.sizeBytes - BLOCK, [last]);
  demand(equalBytes(await readBytes(device, device.sizeBytes - BLOCK, BLOCK), last), 'at the end');
}

async function writesManyBuffers(device: Device): Promise<void> {
  const random = new SeededRandom(3);
  const buffers: Uint8Array[] = [new Uint8Array(0)];
  for (let index = 0; index < 2100; index++) buffers.push(random.bytes(random.below(700)));
  buffers.push(random.bytes(3 * 1024 * 1024));
  await device.write(BLOCK, buffers);
  let offset = BLOCK;
  const whole = await readBytes(device, BLOCK, 4 * 1024 * 1024);
  for (const buffer of buffers) {
    const part = whole.subarray(offset - BLOCK, offset - BLOCK + buffer.length);
    demand(equalBytes(part, buffer), `the buffer at ${offset} is in its place`);
    offset += buffer.length;
  }
  await device.write(0, []);
  await device.read(0, new Uint8Array(0));
}

async function runsManyAtOnce(device: Device): Promise<void> {
  const random = new SeededRandom(4);
  const blocks = Array.from({ length: 64 }, () => random.bytes(BLOCK));
  const writes = blocks.map((block, index) => device.write(index * 2 * BLOCK, [block]));
  const flushes = [device.flush(), device.flush()];
  await Promise.all([...writes, ...flushes]);
  const read = await Promise.all(
    blocks.map((_, index) => readBytes(device, index * 2 * BLOCK, BLOCK)),
  );
  demand(
    blocks.every((block, index) => equalBytes(block, read[index] ?? new Uint8Array(0))),
    'each block is where it was written',
  );
}

async function refusesNoPlace(device: Device): Promise<void> {
  const bytes = new SeededRandom(8).bytes(2 * BLOCK);
  await device.write(0, [bytes]);
  for (const offset of [-1, -BLOCK, device.sizeBytes, 2 ** 53]) {
    const read = device.read(offset, new Uint8Array(16));
    demandDetail(await demandRejection(read, 'DEVICE_READ_FAILED'), device.path, offset);
    const write = device.write(offset, [new Uint8Array(16)]);
    demandDetail(await demandRejection(write, 'DEVICE_WRITE_FAILED'), device.path, offset);
  }
  demand(equalBytes(await readBytes(device, 0, bytes.length), bytes), 'nothing was written');
}

async function keepsWhatWasFlushed(device: Device, under: DeviceUnderTest): Promise<void> {
  const bytes = new SeededRandom(5).bytes(3 * BLOCK);
  await device.write(BLOCK, [bytes]);
  await device.flush();
  await device.close();
  const again = await under.open();
  demand(equalBytes(await readBytes(again, BLOCK, bytes.length), bytes), 'it is all there');
  await again.close();
}

async function writesDurably(device: Device, under: DeviceUnderTest): Promise<void> {
  const random = new SeededRandom(9);
  const [one, two] = [random.bytes(BLOCK), random.bytes(5)];
  await device.writeDurably(BLOCK, [one, two]);
  demand(equalBytes(await readBytes(device, BLOCK, BLOCK), one), 'the first buffer is there');
  demand(equalBytes(await readBytes(device, 2 * BLOCK, 5), two), 'the second follows it');
  const refused = device.writeDurably(device.sizeBytes - 1, [new Uint8Array(2)]);
  const offset = device.sizeBytes - 1;
  demandDetail(await demandRejection(refused, 'DEVICE_WRITE_FAILED'), device.path, offset);
  await device.close();
  await demandRejection(device.writeDurably(0, [one]), 'DEVICE_CLOSED');
  const again = await under.open();
  demand(equalBytes(await readBytes(again, BLOCK, BLOCK), one), 'it is there after opening again');
  await again.close();
}

async function discardsOnlyItsRange(device: Device): Promise<void> {
  const bytes = new SeededRandom(6).bytes(64 * BLOCK);
  await device.write(0, [bytes]);
  await device.flush();
  await device.discard(16 * BLOCK, 32 * BLOCK);
  const [before, after] = [bytes.subarray(0, 16 * BLOCK), bytes.subarray(48 * BLOCK)];
  demand(equalBytes(await readBytes(device, 0, before.length), before), 'before it');
  demand(equalBytes(await readBytes(device, 48 * BLOCK, after.length), after), 'after it');
  await device.write(16 * BLOCK, [before]);
  const written = await readBytes(device, 16 * BLOCK, before.length);
  demand(equalBytes(written, before), 'a discarded range can be written again');
}

async function excludesOthers(device: Device, under: DeviceUnderTest): Promise<void> {
  const detail = (await demandRejection(under.open(), 'DEVICE_BUSY')) as DeviceErrorDetail;
  demand(detail.path === device.path, 'the error names the device');
  await device.close();
  const second = await under.open();
  demand(second.lockIdentity.kind !== 'none', 'there is a lock');
  demand(
    second.lockIdentity.kind === device.lockIdentity.kind &&
      second.lockIdentity.name === device.lockIdentity.name,
    'the same device has the same lock identity',
  );
  await second.close();
}

async function closes(device: Device): Promise<void> {
  let isWritten = false;
  const written = device.write(0, [new Uint8Array(1024 * 1024)]).then(() => {
    isWritten = true;
  });
  await Promise.all([device.close(), device.close()]);
  // The write has settled; its own continuation may have to wait for one turn of promises.
  await written;
  demand(isWritten, 'the write that ran has resolved');
  await device.close();
  const operations = [
    device.read(0, new Uint8Array(1)),
    device.write(0, [new Uint8Array(1)]),
    device.flush(),
    device.discard(0, BLOCK),
  ];
  for (const operation of operations) await demandRejection(operation, 'DEVICE_CLOSED');
}

async function readBytes(device: Device, offset: number, sizeBytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(sizeBytes);
  await device.read(offset, into);
  return into;
}

function demandDetail(found: unknown, path: string, offset: number): void {
  const detail = found as DeviceErrorDetail;
  demand(detail.path === path, 'the error names the device');
  demand('offset' in detail && detail.offset === offset, 'the error tells the offset');
}
