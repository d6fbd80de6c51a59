import type { Query } from './query.ts';

/** What all listings have in common. Absent parameters are empty strings. */
export interface ListParameters {
  readonly prefix: string;
  readonly delimiter: string;
  /** `[0, LIST_ROWS_MAX]`. */
  readonly rowsMax: number;
  readonly encodingType: 'url' | undefined;
}

/** @throws S3Error `InvalidArgument` */
export declare function parseListParameters(
  query: Query,
  rowsParameter: 'max-keys' | 'max-uploads' | 'max-parts',
): ListParameters;

/** `partNumber` in `[1, PART_NUMBER_MAX]`; undefined if absent. @throws S3Error `InvalidArgument` */
export declare function parsePartNumber(query: Query): number | undefined;

/** `part-number-marker`, default 0. @throws S3Error `InvalidArgument` */
export declare function parsePartNumberMarker(query: Query): number;
