export { S3Error } from './errors.ts';
export { createS3Gateway } from './gateway/gateway.ts';
export type {
  ListenAddress,
  S3Gateway,
  S3GatewayOptions,
  S3GatewayStats,
} from './gateway/gateway.ts';
export type { Logger } from './gateway/logger.ts';
export type { S3Limits } from './limits.ts';
export type { StorePools } from './store/store-context.ts';
