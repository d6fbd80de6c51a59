export { alignedBytes, isAligned, UNCACHED_BLOCK_BYTES } from './aligned-bytes.ts';
export { assert, AssertionError, unreachable } from './assert.ts';
export { binaryStringOf, bytesOfBinaryString, writeBinaryString } from './binary-string.ts';
export type { Brand } from './brand.ts';
export { ByteReader } from './byte-reader.ts';
export { ByteWriter } from './byte-writer.ts';
export {
  bytesOfHex,
  compareBytes,
  concatBytes,
  copyOfBytes,
  equalBytes,
  hexOfBytes,
  isExactInteger,
  readUint16,
  readUint32,
  readUint64,
  uninitialisedBytes,
  writeUint16,
  writeUint32,
  writeUint64,
} from './bytes.ts';
export { sleep } from './clock.ts';
export type { Clock, Timer } from './clock.ts';
export { CodecError } from './codec-error.ts';
export type { CodecErrorDetail } from './codec-error.ts';
export { ComputeError, computeClosed, taskFailed } from './compute.ts';
export type { Compute, ComputeErrorDetail, ComputeTask } from './compute.ts';
export { crc32c } from './crc32c.ts';
export { CACHED_READ_BYTES_MAX, DeviceError } from './device.ts';
export type { AnyDeviceError, Device, DeviceErrorDetail, LockIdentity } from './device.ts';
export { DozoError, hasCode } from './errors.ts';
export { InlineCompute } from './inline-compute.ts';
export { NETWORK_FRAME_BYTES_MAX, NETWORK_QUEUE_BYTES_MAX, NetworkError } from './network.ts';
export type {
  AnyNetworkError,
  Connection,
  ConnectionEvents,
  Listener,
  Network,
  NetworkErrorDetail,
} from './network.ts';
export type { Random } from './random.ts';
export { SeededRandom } from './seeded-random.ts';
