import type { RequestHeaders } from './headers.ts';

export interface CopySource {
  readonly bucket: string;
  readonly key: string;
}

/** `x-amz-copy-source`. @throws S3Error `InvalidArgument` */
export declare function parseCopySource(headers: RequestHeaders): CopySource;

/** `x-amz-metadata-directive`, default `COPY`. @throws S3Error `InvalidArgument` */
export declare function parseMetadataDirective(headers: RequestHeaders): 'COPY' | 'REPLACE';
