/** A place between two groups of the log. */
export interface LogPosition {
  readonly ordinal: number;
  /** Byte offset in the segment. */
  readonly offset: number;
  readonly groupIndex: number;
}
