/** What every Device must do, as far as it can be seen without a crash. */
import { alignedBytes, UNCACHED_BLOCK_BYTES } from '../aligned-bytes.ts';
import { AssertionError } from '../assert.ts';
import { equalBytes } from '../bytes.ts';
import { CACHED_READ_BYTES_MAX } from '../device.ts';
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

const BLOCK = UNCACHED_BLOCK_BYTES;

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
    on('what is read at once is what was written, and never outside the device', readsAtOnce),
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
    on('what was written uncached is read either way, and the other way round', readsUncached),
    on('an uncached transfer of many pieces arrives whole, from any memory', movesManyUncached),
    on('an uncached write is there after closing and opening again', keepsWhatWasWrittenUncached),
    on('an uncached transfer is refused outside the device', refusesUncachedOutside),
    on('an uncached transfer that is not whole blocks is an assertion', demandsWholeBlocks),
    on('dropping the cache loses nothing', dropsCache),
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

async function readsAtOnce(device: Device): Promise<void> {
  const bytes = new SeededRandom(15).bytes(2 * BLOCK);
  await device.write(BLOCK, [bytes]);
  const into = new Uint8Array(BLOCK);
  // Whether it can tell is up to the device; then it must be right.
  const isRight = (start: number): boolean =>
    !device.readCached(BLOCK + start, into) ||
    equalBytes(into, bytes.subarray(start, start + BLOCK));
  demand(isRight(0) && isRight(17) && isRight(BLOCK), 'it is as written');
  for (const offset of [-1, 0.5, Number.NaN, device.sizeBytes, device.sizeBytes - BLOCK + 1]) {
    demand(!device.readCached(offset, into), `nothing is read at ${offset}`);
  }
  demand(!device.readCached(0, new Uint8Array(CACHED_READ_BYTES_MAX + 1)), 'no more than it may');
  await device.close();
  demand(!device.readCached(BLOCK, into), 'nothing is read of a device that is closed');
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

async function readsUncached(device: Device, under: DeviceUnderTest): Promise<void> {
  const random = new SeededRandom(10);
  const bytes = random.bytes(4 * BLOCK);
  await device.write(BLOCK, [bytes]);
  demand(equalBytes(await readUncached(device, BLOCK, bytes.length), bytes), 'not yet flushed');
  demand(equalBytes(await readBytes(device, BLOCK, bytes.length), bytes), 'read into the cache');
  const [one, two] = [random.bytes(BLOCK), random.bytes(BLOCK)];
  await device.writeUncached(2 * BLOCK, [one, two]);
  bytes.set(one, BLOCK);
  bytes.set(two, 2 * BLOCK);
  demand(equalBytes(await readBytes(device, BLOCK, bytes.length), bytes), 'the cache follows');
  demand(equalBytes(await readUncached(device, BLOCK, bytes.length), bytes), 'as does the disk');
  const reader = await under.openReadOnly();
  demand(equalBytes(await readUncached(reader, BLOCK, bytes.length), bytes), 'to a reader as well');
  await reader.dropCache();
  await reader.close();
}

async function movesManyUncached(device: Device): Promise<void> {
  const sizeBytes = 5 * 1024 * 1024;
  const bytes = new SeededRandom(11).bytes(sizeBytes);
  const aligned = alignedBytes(sizeBytes + BLOCK);
  aligned.set(bytes);
  for (const source of [bytes, aligned.subarray(0, sizeBytes)]) {
    await device.writeUncached(0, [new Uint8Array(sizeBytes)]);
    const cut = 3 * 1024 * 1024;
    await device.writeUncached(0, [source.subarray(0, cut), source.subarray(cut)]);
    demand(equalBytes(await readUncached(device, 0, sizeBytes), bytes), 'into plain memory');
    const into = alignedBytes(sizeBytes + BLOCK).subarray(BLOCK);
    await device.readUncached(0, into);
    demand(equalBytes(into, bytes), 'into aligned memory');
    const odd = new Uint8Array(sizeBytes + 1).subarray(1);
    await device.readUncached(0, odd);
    demand(equalBytes(odd, bytes), 'into memory at an odd address');
  }
  const blocks = Array.from({ length: 1100 }, (_, index) =>
    aligned.subarray(index * BLOCK, (index + 1) * BLOCK),
  );
  await device.writeUncached(BLOCK, blocks);
  const end = 1100 * BLOCK;
  demand(
    equalBytes(await readUncached(device, BLOCK, end), bytes.subarray(0, end)),
    'many buffers',
  );
  await device.writeUncached(0, []);
  await device.readUncached(0, new Uint8Array(0));
  const reads = Array.from({ length: 16 }, (_, index) =>
    readUncached(device, index * BLOCK, BLOCK),
  );
  const found = await Promise.all(reads);
  demand(
    found.every((block, index) => {
      const start = Math.max(0, index - 1) * BLOCK;
      return equalBytes(block, bytes.subarray(start, start + BLOCK));
    }),
    'many at once do not mix',
  );
}

async function keepsWhatWasWrittenUncached(device: Device, under: DeviceUnderTest): Promise<void> {
  const bytes = new SeededRandom(12).bytes(BLOCK);
  await device.writeUncached(device.sizeBytes - BLOCK, [bytes]);
  await device.close();
  const again = await under.open();
  const found = await readUncached(again, again.sizeBytes - BLOCK, BLOCK);
  demand(equalBytes(found, bytes), 'it is there after opening again');
  await again.close();
}

async function refusesUncachedOutside(device: Device): Promise<void> {
  const bytes = new SeededRandom(13).bytes(2 * BLOCK);
  for (const offset of [-BLOCK, device.sizeBytes - BLOCK, device.sizeBytes, 2 ** 53]) {
    const read = device.readUncached(offset, new Uint8Array(2 * BLOCK));
    demandDetail(await demandRejection(read, 'DEVICE_READ_FAILED'), device.path, offset);
    const write = device.writeUncached(offset, [bytes]);
    demandDetail(await demandRejection(write, 'DEVICE_WRITE_FAILED'), device.path, offset);
  }
  const last = await readBytes(device, device.sizeBytes - BLOCK, BLOCK);
  demand(equalBytes(last, new Uint8Array(BLOCK)), 'nothing was written');
}

async function demandsWholeBlocks(device: Device): Promise<void> {
  const bytes = new Uint8Array(BLOCK);
  await demandAssertion(() => device.readUncached(512, bytes));
  await demandAssertion(() => device.readUncached(0, bytes.subarray(1)));
  await demandAssertion(() => device.writeUncached(512, [bytes]));
  await demandAssertion(() =>
    device.writeUncached(0, [bytes.subarray(2048), bytes.subarray(2048)]),
  );
}

async function dropsCache(device: Device): Promise<void> {
  const bytes = new SeededRandom(14).bytes(16 * BLOCK);
  await device.write(0, [bytes]);
  await device.dropCache();
  demand(equalBytes(await readBytes(device, 0, bytes.length), bytes), 'what was not yet flushed');
  await device.flush();
  await device.dropCache();
  demand(equalBytes(await readBytes(device, 0, bytes.length), bytes), 'what was flushed');
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
    device.readUncached(0, new Uint8Array(BLOCK)),
    device.writeUncached(0, [new Uint8Array(BLOCK)]),
    device.dropCache(),
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

async function readUncached(
  device: Device,
  offset: number,
  sizeBytes: number,
): Promise<Uint8Array> {
  const into = new Uint8Array(sizeBytes);
  await device.readUncached(offset, into);
  return into;
}

/** An assertion may be thrown at once or reject the promise. */
async function demandAssertion(operation: () => Promise<void>): Promise<void> {
  let outcome: unknown;
  try {
    await operation();
  } catch (error) {
    outcome = error;
  }
  demand(outcome instanceof AssertionError, 'it is an assertion');
}

function demandDetail(found: unknown, path: string, offset: number): void {
  const detail = found as DeviceErrorDetail;
  demand(detail.path === path, 'the error names the device');
  demand('offset' in detail && detail.offset === offset, 'the error tells the offset');
}
