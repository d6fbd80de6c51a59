/** Where a gateway tells what happens; the shape of pino's loggers. */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Absent or true: `debug` does something. Keeps a line per request off the hot path. */
  readonly isDebugEnabled?: boolean;
}
