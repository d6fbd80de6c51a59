export interface QueryParameter {
  /** Decoded. */
  readonly name: string;
  /** Decoded; empty for a parameter without `=`. */
  readonly value: string;
}

/** The decoded parameters of a query, in the order in which they came. */
export declare class Query {
  readonly parameters: readonly QueryParameter[];
  get(name: string): string | undefined;
  has(name: string): boolean;
}
