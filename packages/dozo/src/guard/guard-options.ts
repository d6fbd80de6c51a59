/** The command line of `dozo guard`. */
import { basename } from 'node:path';

import { CommandError } from '../errors.ts';
import { parseDurationMs } from './durations.ts';
import { NAME_BYTES_MAX } from './limits.ts';

// Not by `import`: for that Node evaluates all exports of the module, and one of them touches
// `process.stderr`, which makes a pipe behind it non-blocking for every process that shares it.
const { parseArgs } = process.getBuiltinModule('node:util');

/** What a guard was asked to do. */
export type GuardTask =
  | { readonly kind: 'help' }
  | { readonly kind: 'status'; readonly volume: string; readonly json: boolean }
  | {
      readonly kind: 'run';
      readonly volume: string;
      readonly wait: boolean;
      readonly name: string;
      /** Only what was given. */
      readonly beatMs?: number;
      readonly leaseMs?: number;
      readonly command: readonly string[];
    };

export const GUARD_HELP = `Usage: dozo guard --volume DIR [options] -- COMMAND ARGS...
       dozo guard --volume DIR --status [--json]

Runs COMMAND only while it holds the claim of a volume: one writer at a time, on one machine or on
several that share it.

Options:
  --volume <dir>     the directory to guard; the claim is in DIR/.dozo-claim
  --wait             wait for a holder to end instead of refusing; says whom it waits for
  --name <name>      what others are told about this holder (default: the name of COMMAND)
  --beat <duration>  when the claim file is made: a beat each (default: 1s)
  --lease <duration> when the claim file is made: gone without a beat for so long (default: 5s)
  --status           show who holds it: status 0 when held, 8 when free; takes nothing
  --json             with --status: as JSON
  --help             show this

Signals are passed on, and the exit status of COMMAND (128+n when signal n ended it).
Of its own: 2 usage, 3 held by another one, 6 the machine refuses, 9 fenced, 10 claim lost,
126 and 127 COMMAND cannot be run or is not there. All of it: docs/operations/guard.md.
`;

const OPTIONS = {
  volume: { type: 'string' },
  wait: { type: 'boolean', default: false },
  name: { type: 'string' },
  beat: { type: 'string' },
  lease: { type: 'string' },
  status: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Parses what stands after `dozo guard`. Throws `USAGE_INVALID`. */
export function parseGuardTask(args: readonly string[]): GuardTask {
  const split = args.indexOf('--');
  const own = split < 0 ? args : args.slice(0, split);
  const command = split < 0 ? [] : args.slice(split + 1);
  const { values, positionals } = parseOwn(own);
  if (values.help) return { kind: 'help' };
  const [stray] = positionals;
  if (stray !== undefined) {
    throw usage(`"${stray}" is not an option. The program to run stands after --: -- ${stray} ...`);
  }
  if (values.volume === undefined || values.volume === '') {
    throw usage('--volume is missing: the directory that is to have one writer');
  }
  if (values.status) {
    if (command.length > 0) throw usage('--status runs nothing: leave the command away');
    return { kind: 'status', volume: values.volume, json: values.json };
  }
  if (values.json) throw usage('--json goes with --status');
  const program = command[0] ?? '';
  if (program === '') throw usage('there is no program to run: add -- COMMAND ARGS...');
  return {
    kind: 'run',
    volume: values.volume,
    wait: values.wait,
    name: nameOf(values.name, program),
    ...duration('beatMs', '--beat', values.beat),
    ...duration('leaseMs', '--lease', values.lease),
    command,
  };
}

function parseOwn(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // Node's message names the option; some add an advice about `--` that does not fit here.
    const message = error instanceof Error ? error.message : String(error);
    throw usage(message.split('. To specify')[0] ?? message);
  }
}

function nameOf(given: string | undefined, program: string): string {
  const name = given ?? basename(program);
  const sizeBytes = Buffer.byteLength(name);
  if (name === '' || sizeBytes > NAME_BYTES_MAX || /[\u0000-\u001f\u007f]/.test(name)) {
    if (given === undefined) return 'guard';
    throw usage(`--name is a text of 1 to ${NAME_BYTES_MAX} bytes on one line`);
  }
  return name;
}

function duration<Key extends string>(
  key: Key,
  option: string,
  text: string | undefined,
): Partial<Record<Key, number>> {
  if (text === undefined) return {};
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined) {
    throw usage(`${option} ${text}: a duration is a number with its unit, such as 500ms or 5s`);
  }
  return { [key]: durationMs } as Partial<Record<Key, number>>;
}

function usage(reason: string): CommandError {
  return new CommandError(`${reason}. See dozo guard --help.`, { code: 'USAGE_INVALID' });
}
