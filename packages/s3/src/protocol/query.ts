/**
 * The query of a request, decoded once, for routing as well as for the signature.
 *
 * A plus means a space here (and nowhere else), as in HTML forms; clients that mean a plus send
 * `%2B`. Where a parameter comes twice, the first counts; the signature covers both.
 */
import { S3Error } from '../errors.ts';
import { QUERY_PARAMETERS_MAX } from '../limits.ts';
import { percentDecode } from './percent.ts';

/** One parameter of a query, decoded. */
export interface QueryParameter {
  readonly name: string;
  /** Empty for a parameter without `=`. */
  readonly value: string;
}

/** The decoded parameters of a query, in the order in which they came. */
export class Query {
  static readonly EMPTY = new Query([]);

  readonly parameters: readonly QueryParameter[];

  constructor(parameters: readonly QueryParameter[]) {
    this.parameters = parameters;
  }

  /**
   * Decodes what stands after the question mark.
   *
   * @throws S3Error `InvalidURI` for broken escapes, `InvalidRequest` for too many parameters.
   */
  static parse(text: string): Query {
    if (text === '') return Query.EMPTY;
    const pieces = text.split('&', QUERY_PARAMETERS_MAX + 1);
    if (pieces.length > QUERY_PARAMETERS_MAX) {
      const message = `A request may have at most ${QUERY_PARAMETERS_MAX} query parameters.`;
      throw S3Error.of('InvalidRequest', message);
    }
    const parameters: QueryParameter[] = [];
    for (const piece of pieces) {
      if (piece === '') continue;
      const equals = piece.indexOf('=');
      const name = decode(equals < 0 ? piece : piece.slice(0, equals));
      parameters.push({ name, value: equals < 0 ? '' : decode(piece.slice(equals + 1)) });
    }
    return new Query(parameters);
  }

  /** The first value of a parameter. */
  get(name: string): string | undefined {
    for (const parameter of this.parameters) {
      if (parameter.name === name) return parameter.value;
    }
    return undefined;
  }

  /** Whether a parameter is there, with or without a value. */
  has(name: string): boolean {
    return this.get(name) !== undefined;
  }
}

function decode(text: string): string {
  const decoded = percentDecode(text.includes('+') ? text.replaceAll('+', ' ') : text);
  if (decoded === undefined) throw new S3Error('InvalidURI');
  return decoded;
}
