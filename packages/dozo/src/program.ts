/**
 * The command line: names, options and their meaning; what a command does is in `commands/`.
 *
 * Commands are loaded when they are called, so that `dozo version` does not wait for the S3 gateway.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import type { CommandContext } from './command-context.ts';
import type { CheckOptions } from './commands/device-check.ts';
import type { DumpOptions } from './commands/device-dump.ts';
import type { FormatOptions } from './commands/device-format.ts';
import type { GrowOptions } from './commands/device-grow.ts';
import type { ShowOptions } from './commands/device-show.ts';
import type { ReleaseQuarantineOptions } from './commands/device-release-quarantine.ts';
import type { ForensicsOptions } from './commands/forensics.ts';
import type { LabDoubleStartOptions } from './commands/lab-double-start.ts';
import type { StatusOptions } from './commands/status.ts';
import { LOG_FORMATS, LOG_LEVELS } from './composition/log.ts';
import { DISCARD_MODES } from './composition/up-settings.ts';
import type { UpOptions } from './composition/up-settings.ts';
import { EXIT_DONE, EXIT_USAGE } from './exit-codes.ts';
import { GUARD_HELP } from './guard/guard-options.ts';
import { parseDurationMs } from './guard/durations.ts';
import { CACHE_BYTES_DEFAULT } from './limits.ts';
import { parseSizeBytes } from './sizes.ts';

/**
 * Runs one command line, without the `node dozo` in front.
 *
 * @returns the exit status. What a command throws passes through.
 */
export async function runProgram(
  args: readonly string[],
  context: CommandContext,
): Promise<number> {
  // It is also a program of its own, without this one, and what stands behind its `--` is not ours.
  if (args[0] === 'guard') {
    const { runGuardCommand } = await import('./guard/main.ts');
    return runGuardCommand(args.slice(1));
  }
  let status = EXIT_DONE;
  const program = buildProgram(context, (value) => {
    status = value;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for comes this way too, with 0. `dozo` alone shows help, as an error.
    return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
  }
  return status;
}

function buildProgram(context: CommandContext, setStatus: (status: number) => void): Command {
  const program = new Command('dozo');
  program
    .description('Replicated object and block storage in which every disk has one writer, always.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.output.write(text),
      writeErr: (text) => void context.errorOutput.write(text),
      getOutHelpWidth: () => context.output.columns ?? 100,
      getErrHelpWidth: () => context.errorOutput.columns ?? 100,
    })
    .showHelpAfterError('(dozo help shows the commands, dozo COMMAND --help the options)')
    .helpCommand('help [command]', 'show the commands, or what one of them takes')
    .addHelpText('after', '\nHow dozo ends, what it keeps where: docs/operations/.');
  addUp(program, context, setStatus);
  addStatus(program, context, setStatus);
  addDevice(program, context, setStatus);
  addForensics(program, context, setStatus);
  addLab(program, context, setStatus);
  addGuard(program);
  program
    .command('version')
    .description('show the versions of dozo and of what it runs on')
    .option('--json', 'as JSON', false)
    .action(async (options: { readonly json: boolean }) => {
      const { showVersion } = await import('./commands/version.ts');
      setStatus(showVersion(context, options));
    });
  return program;
}

function addUp(
  program: Command,
  context: CommandContext,
  setStatus: (status: number) => void,
): void {
  program
    .command('up')
    .description('serve S3 from this machine; the first start makes what it needs')
    .option('--data <dir>', 'where everything is kept (default: ~/.local/share/dozo)')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port of the S3 endpoint; 0 picks one', parsePort, 9000)
    .option(
      '--health-port <port>',
      'port of /livez, /readyz and /status (default: the S3 port and 1; 0 picks one)',
      parsePort,
    )
    .option(
      '--size <size>',
      'size of the device file that a first start makes (default: 20GiB, at most a tenth of the free space)',
      parseSize,
    )
    .option(
      '--device <path>',
      'a formatted file or block device in place of the file in DIR; may be repeated',
      collect,
      [],
    )
    .option('--domain <name>', 'serve buckets as NAME.<name> too; may be repeated', collect, [])
    .option('--tls-cert <file>', 'certificate chain (PEM): serve https')
    .option('--tls-key <file>', 'its key (PEM)')
    .option(
      '--wait',
      'wait for whoever holds the device instead of refusing; takes over when its lease is over',
      false,
    )
    .addOption(
      new Option(
        '--discard <when>',
        'tell the device which space is free; auto: a block device, not a file',
      )
        .choices(DISCARD_MODES)
        .default('auto'),
    )
    .addOption(
      new Option('--cache <size>', 'memory for blocks of the index that were read lately')
        .argParser(parseSize)
        .default(CACHE_BYTES_DEFAULT, '64MiB'),
    )
    .option('--ready-file <file>', 'write endpoint and pid here, as JSON, once it serves')
    .addOption(
      new Option('--log-level <level>', 'least important lines to log')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'auto: human on a terminal, else json')
        .choices(LOG_FORMATS)
        .default('auto'),
    )
    .addHelpText(
      'after',
      '\nCredentials: DOZO_ACCESS_KEY_ID and DOZO_SECRET_ACCESS_KEY, else a file in DIR that the first start makes.',
    )
    .action(async (options: UpOptions) => {
      const { runUp } = await import('./commands/up.ts');
      setStatus(await runUp(context, options));
    });
}

function addStatus(
  program: Command,
  context: CommandContext,
  setStatus: (status: number) => void,
): void {
  program
    .command('status')
    .description('show a running daemon, or what its device says when none runs')
    .option('--data <dir>', 'its data directory (default: ~/.local/share/dozo)')
    .option('--device <path>', 'its device, if it is not the file in DIR')
    .option('--json', 'as JSON', false)
    .action(async (options: StatusOptions) => {
      const { runStatus } = await import('./commands/status.ts');
      setStatus(await runStatus(context, options));
    });
}

function addDevice(
  program: Command,
  context: CommandContext,
  setStatus: (status: number) => void,
): void {
  const device = program
    .command('device')
    .description('look after a device: a file or a whole block device');
  device
    .command('format <path>')
    .description('make an empty device; refused when anything is there')
    .option('--size <size>', 'make a file of this size first', parseSize)
    .option('--local', 'only this machine can reach it, by one path: a takeover never waits', false)
    .option('--beat <time>', 'how often a holder shows that it lives (default: 1s)', parseDuration)
    .option(
      '--lease <time>',
      'how long that counts, three beats at least (default: 5s)',
      parseDuration,
    )
    .option('--force', 'also when something is there: says what will be lost', false)
    .option('--yes', 'with --force: do not ask', false)
    .action(async (path: string, options: FormatOptions) => {
      const { runDeviceFormat } = await import('./commands/device-format.ts');
      setStatus(await runDeviceFormat(context, path, options));
    });
  device
    .command('grow <path>')
    .description('use all of a file or block device that was made larger; nobody may hold it')
    .option('--size <size>', 'make the file so large first', parseSize)
    .option('--json', 'as JSON', false)
    .action(async (path: string, options: GrowOptions) => {
      const { runDeviceGrow } = await import('./commands/device-grow.ts');
      setStatus(await runDeviceGrow(context, path, options));
    });
  addDeviceLooks(device, context, setStatus);
  device
    .command('release-quarantine <path>')
    .description(
      'say that earlier holders are certainly dead, and give back the space kept for them',
    )
    .option('--claim <incarnation>', 'only this one; may be repeated', collectIncarnations, [])
    .option('--yes', 'do not ask', false)
    .action(async (path: string, options: ReleaseQuarantineOptions) => {
      const { runReleaseQuarantine } = await import('./commands/device-release-quarantine.ts');
      setStatus(await runReleaseQuarantine(context, path, options));
    });
  device
    .command('restore-superblock <path>')
    .description('put the copy of the superblock in the place of a damaged one')
    .action(async (path: string) => {
      const { runRestoreSuperblock } = await import('./commands/device-restore-superblock.ts');
      setStatus(await runRestoreSuperblock(context, path));
    });
}

/** What only looks at a device. */
function addDeviceLooks(
  device: Command,
  context: CommandContext,
  setStatus: (status: number) => void,
): void {
  device
    .command('show <path>')
    .description('show what a device says of itself; changes nothing')
    .option('--json', 'as JSON', false)
    .action(async (path: string, options: ShowOptions) => {
      const { runDeviceShow } = await import('./commands/device-show.ts');
      setStatus(await runDeviceShow(context, path, options));
    });
  device
    .command('check <path>')
    .alias('verify')
    .description('read everything that counts, and tell what is damaged; changes nothing by itself')
    .option('--repair', 'make it sound: tell what would be dropped, ask, and do it', false)
    .option('--yes', 'with --repair: do not ask', false)
    .option('--json', 'as JSON', false)
    .action(async (path: string, options: CheckOptions) => {
      const { runDeviceCheck } = await import('./commands/device-check.ts');
      setStatus(await runDeviceCheck(context, path, options));
    });
  device
    .command('dump <path>')
    .description('show every structure on a device, for debugging; changes nothing')
    .option(
      '--segment <number>',
      'what lies in this segment: groups, records, tables',
      parseSegment,
    )
    .option('--tables <count>', 'list so many tables of the tree (default: 10000)', parseCount)
    .option('--json', 'as JSON; with --segment one object in each line', false)
    .action(async (path: string, options: DumpOptions) => {
      const { runDeviceDump } = await import('./commands/device-dump.ts');
      setStatus(await runDeviceDump(context, path, options));
    });
}

function addForensics(
  program: Command,
  context: CommandContext,
  setStatus: (status: number) => void,
): void {
  program
    .command('forensics <path>')
    .description('tell who held a device or a guarded volume when, and whether two did at one time')
    .option('--json', 'as JSON', false)
    .option('--svg <file>', 'draw the timeline into this file')
    .addHelpText(
      'after',
      '\nTakes no lock and changes nothing, also while the device is in use.\nStatus 0: one writer at a time. 11: two at once. See docs/operations/forensics.md.',
    )
    .action(async (path: string, options: ForensicsOptions) => {
      const { runForensics } = await import('./commands/forensics.ts');
      setStatus(await runForensics(context, path, options));
    });
}

function addLab(
  program: Command,
  context: CommandContext,
  setStatus: (status: number) => void,
): void {
  const lab = program
    .command('lab')
    .description(
      'experiments on this machine that show what Dozo is for; they clear up after them',
    );
  lab
    .command('double-start')
    .description('two daemons on one disk: a naive one, LevelDB, and Dozo by six ways in; a minute')
    .option(
      '--directory <dir>',
      'where to make the directory of the lab (default: that for temporary files)',
    )
    .option('--control', 'also Dozo with every layer off, which must be damaged', false)
    .option('--json', 'the result as JSON, without the story', false)
    .addHelpText(
      'after',
      '\nAs root it plays everything; else what needs no root. See docs/operations/lab.md.',
    )
    .action(async (options: LabDoubleStartOptions) => {
      const { runLabDoubleStart } = await import('./commands/lab-double-start.ts');
      setStatus(await runLabDoubleStart(context, options));
    });
}

/** For the help alone: it parses its own arguments, see {@link runProgram}. */
function addGuard(program: Command): void {
  const guard = program
    .command('guard')
    .description('run any program only while it holds the claim of a volume');
  guard.helpInformation = () => GUARD_HELP;
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError('A port is a number from 0 to 65535.');
  return port;
}

function parseSize(text: string): number {
  try {
    return parseSizeBytes(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

function parseDuration(text: string): number {
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined) return durationMs;
  throw new InvalidArgumentError('A time is a number with ms, s or m, such as 500ms or 5s.');
}

function parseSegment(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('A segment is named by its number: 0, 1, 2, ...');
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number: 0, 1, 2, ...');
}

function collectIncarnations(text: string, previous: readonly number[]): readonly number[] {
  const incarnation = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (incarnation < 1)
    throw new InvalidArgumentError('A claim is named by its incarnation: 1, 2, ...');
  return [...previous, incarnation];
}
