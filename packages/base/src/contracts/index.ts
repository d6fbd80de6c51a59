export { clockContract } from './clock-contract.ts';
export type { ClockUnderTest } from './clock-contract.ts';
export { ContractViolation } from './contract.ts';
export type { ContractCase } from './contract.ts';
export { DEVICE_CONTRACT_BYTES_MIN, deviceContract } from './device-contract.ts';
export type { DeviceUnderTest } from './device-contract.ts';
export { networkContract } from './network-contract.ts';
export type { NetworkUnderTest } from './network-contract.ts';
export { randomContract } from './random-contract.ts';
