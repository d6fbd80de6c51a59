export type { Tearing } from './crash-survival.ts';
export { ModelEngine, ModelEngineError } from './model-engine.ts';
export type { ModelEngineOptions } from './model-engine.ts';
export { PageCache } from './page-cache.ts';
export type { PageCacheOptions } from './page-cache.ts';
export { SimulatedClock } from './simulated-clock.ts';
export type { SimulatedClockOptions } from './simulated-clock.ts';
export { SimulatedCompute } from './simulated-compute.ts';
export type { SimulatedComputeOptions } from './simulated-compute.ts';
export { SimulatedDevice } from './simulated-device.ts';
export type {
  Fault,
  OperationEvent,
  OperationKind,
  SimulatedDeviceCounts,
  SimulatedDeviceOptions,
} from './simulated-device-types.ts';
export { SimulatedMedium } from './simulated-medium.ts';
export type { CrashOptions } from './simulated-medium.ts';
export { SimulatedProcess } from './simulated-process.ts';
export type { InFlight, SimulatedProcessOptions } from './simulated-process.ts';
