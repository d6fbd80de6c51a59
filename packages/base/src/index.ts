export { assert, AssertionError, unreachable } from './assert.ts';
export type { Brand } from './brand.ts';
export { sleep } from './clock.ts';
export type { Clock, Timer } from './clock.ts';
export type { AnyDeviceError, Device, DeviceErrorDetail, LockIdentity } from './device.ts';
export { DozoError, hasCode } from './errors.ts';
export { NETWORK_FRAME_BYTES_MAX } from './network.ts';
export type {
  AnyNetworkError,
  Connection,
  ConnectionEvents,
  Listener,
  Network,
  NetworkErrorDetail,
} from './network.ts';
export type { Random } from './random.ts';
