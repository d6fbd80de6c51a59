/** Query parameters of listings and of parts. */
import { invalidArgument } from '../errors.ts';
import { LIST_ROWS_MAX, PART_NUMBER_MAX } from '../limits.ts';
import { requireObjectKey } from './bucket-name.ts';
import type { Query } from './query.ts';

/** What all listings have in common. Absent parameters are empty strings. */
export interface ListParameters {
  readonly prefix: string;
  readonly delimiter: string;
  /** `[0, LIST_ROWS_MAX]`; more was asked for: `LIST_ROWS_MAX`. */
  readonly rowsMax: number;
  readonly encodingType: 'url' | undefined;
}

/** Parameters that are keys, or pieces of keys, and can be no longer than one. */
const KEY_PARAMETERS = ['prefix', 'delimiter', 'marker', 'start-after', 'key-marker'] as const;

/**
 * @param rowsParameter how this listing calls the length of a page.
 * @throws S3Error `InvalidArgument`; `KeyTooLongError` for a prefix, delimiter or marker.
 */
export function parseListParameters(
  query: Query,
  rowsParameter: 'max-keys' | 'max-uploads' | 'max-parts',
): ListParameters {
  const encodingType = query.get('encoding-type');
  if (encodingType !== undefined && encodingType !== '' && encodingType !== 'url') {
    throw invalidArgument(
      'encoding-type',
      encodingType,
      'Invalid Encoding Method specified in Request',
    );
  }
  for (const name of KEY_PARAMETERS) {
    const text = query.get(name);
    if (text !== undefined && text !== '') requireObjectKey(text);
  }
  const rows = parseInteger(query, rowsParameter, 2 ** 31 - 1);
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    rowsMax: Math.min(rows ?? LIST_ROWS_MAX, LIST_ROWS_MAX),
    encodingType: encodingType === 'url' ? 'url' : undefined,
  };
}

/**
 * `partNumber`, in `[1, PART_NUMBER_MAX]`; undefined if it was not sent.
 *
 * @throws S3Error `InvalidArgument`.
 */
export function parsePartNumber(query: Query): number | undefined {
  const text = query.get('partNumber');
  if (text === undefined) return undefined;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > PART_NUMBER_MAX) {
    const message = `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`;
    throw invalidArgument('partNumber', text, message);
  }
  return number;
}

/**
 * `part-number-marker`; 0 if it was not sent.
 *
 * @throws S3Error `InvalidArgument`.
 */
export function parsePartNumberMarker(query: Query): number {
  return parseInteger(query, 'part-number-marker', 2 ** 31 - 1) ?? 0;
}

function parseInteger(query: Query, name: string, max: number): number | undefined {
  const text = query.get(name);
  if (text === undefined || text === '') return undefined;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (number < 0 || number > max) {
    const message = `Argument ${name} must be an integer between 0 and ${max}`;
    throw invalidArgument(name, text, message);
  }
  return number;
}
