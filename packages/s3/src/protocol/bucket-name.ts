/** @throws S3Error `InvalidBucketName` */
export declare function requireBucketName(name: string): void;
/** @throws S3Error `KeyTooLongError`, `InvalidArgument` (empty) */
export declare function requireObjectKey(key: string): void;
