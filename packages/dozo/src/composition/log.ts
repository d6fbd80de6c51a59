/**
 * Structured logs on standard error: one JSON object a line, or a form for people on a terminal.
 *
 * Written synchronously, so that the last words before a crash are not lost. A reader that has gone
 * away (EPIPE) silences the log and does not stop the daemon.
 */
import type { Clock } from '@dozo/base';
import { destination, pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['auto', 'human', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'human' | 'json';
  readonly color: boolean;
  readonly clock: Clock;
  /** Where the lines go; default: standard error. */
  readonly output?: DestinationStream;
}

/** Makes the logger of a daemon. */
export function createLog(options: LogOptions): Logger {
  const output = options.output ?? standardError();
  const stream = options.format === 'json' ? output : humanForm(output, options.color);
  return pino(
    {
      level: options.level,
      base: options.format === 'json' ? { pid: process.pid } : null,
      timestamp: () => `,"time":${options.clock.wallMs()}`,
      formatters: { level: (label) => ({ level: label }) },
      // The last line of defence: nothing that looks like a secret leaves the process.
      redact: ['secretAccessKey', '*.secretAccessKey', 'SecretAccessKey', '*.SecretAccessKey'],
    },
    stream,
  );
}

/** The form for `auto`: for people where standard error is a terminal. */
export function chooseFormat(format: LogFormat, isTerminal: boolean): 'human' | 'json' {
  if (format !== 'auto') return format;
  return isTerminal ? 'human' : 'json';
}

function humanForm(output: DestinationStream, colorize: boolean): DestinationStream {
  const toText = prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
  });
  return {
    write: (line: string) => {
      output.write(toText(line));
    },
  };
}

function standardError(): DestinationStream {
  const stream = destination({ dest: 2, sync: true });
  stream.on('error', () => {
    // Nobody reads any more; there is no better place to say so.
  });
  return stream;
}
