/** `dozo up`: serve until a signal says stop, or the device fails. */
import { sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';
import type { Logger } from 'pino';

import type { CommandContext } from '../command-context.ts';
import { announcementText } from '../composition/announcement.ts';
import { awsLinesToTry } from '../composition/aws-profile.ts';
import { Daemon } from '../composition/daemon.ts';
import type { Serving } from '../composition/daemon.ts';
import { chooseFormat, createLog } from '../composition/log.ts';
import { listenForStopSignals } from '../composition/stop-signals.ts';
import { loadTlsFiles } from '../composition/tls-files.ts';
import { readUpSettings } from '../composition/up-settings.ts';
import type { UpOptions, UpSettings } from '../composition/up-settings.ts';
import { CommandError } from '../errors.ts';
import { EXIT_BUG, EXIT_DONE, exitStatusOf } from '../exit-codes.ts';
import { FAILED_CLOSE_MS, STOP_MS_MAX } from '../limits.ts';

/** Runs the daemon; resolves with the exit status when it has ended. */
export async function runUp(context: CommandContext, options: UpOptions): Promise<number> {
  const settings = readUpSettings(options, context.environment);
  const clock = await context.openClock();
  const format = chooseFormat(options.logFormat, context.errorOutput.isTTY ?? false);
  const log = createLog({ level: options.logLevel, format, color: format === 'human', clock });
  context.bugs.report = (error) => {
    log.fatal({ err: error }, 'this is a bug in dozo, please report it');
  };
  const stop = listenForStopSignals(context.signals, clock);
  try {
    const tls = await loadTlsFiles(settings.tlsCertificatePath, settings.tlsKeyPath);
    const { environment, random } = context;
    const daemon = new Daemon({ settings, tls, environment, clock, random, log });
    const isForMachines = options.logFormat === 'json';
    const run = { daemon, settings, context, clock, log, isForMachines, stop: stop.signal };
    return await runDaemon(run);
  } catch (error) {
    const status = exitStatusOf(error);
    // On a terminal the one line that main prints is enough.
    if (format === 'human' || status === EXIT_BUG) throw error;
    log.fatal({ code: (error as CommandError).code, status }, (error as Error).message);
    return status;
  }
}

interface Run {
  readonly daemon: Daemon;
  readonly settings: UpSettings;
  readonly context: CommandContext;
  readonly clock: Clock;
  readonly log: Logger;
  /** JSON was asked for. */
  readonly isForMachines: boolean;
  /** Aborted by the first stop signal. */
  readonly stop: AbortSignal;
}

async function runDaemon(run: Run): Promise<number> {
  const { daemon, clock, log, stop } = run;
  const stopped = new Promise<'stopped'>((resolve) => {
    stop.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  const starting = daemon.start();
  const started = await Promise.race([starting, stopped]).catch(async (error: unknown) => {
    await within(clock, FAILED_CLOSE_MS, daemon.abandon());
    throw error;
  });
  if (started === 'stopped') {
    // Nothing was served yet; the next start recovers as after a crash, which it can at any moment.
    log.info({ signal: String(stop.reason) }, 'stopped before it served');
    return EXIT_DONE;
  }
  announce(run, started);
  const end = await Promise.race([stopped, daemon.failed]);
  if (end !== 'stopped') {
    await within(clock, FAILED_CLOSE_MS, daemon.abandon());
    throw deviceFailed(started.info.device);
  }
  log.info({ signal: String(stop.reason) }, 'stopping: running requests may end');
  const isClean = await within(clock, STOP_MS_MAX, daemon.stop());
  if (!isClean) throw stopTimedOut();
  log.info('stopped clean');
  return EXIT_DONE;
}

/** Waits for `work` at most `limitMs`; tells whether it was done by then. Its error passes through. */
async function within(clock: Clock, limitMs: number, work: Promise<void>): Promise<boolean> {
  const timeUp = new AbortController();
  try {
    return await Promise.race([
      work.then(() => true),
      sleep(clock, limitMs, timeUp.signal).then(() => false),
    ]);
  } finally {
    timeUp.abort();
  }
}

function announce({ context, settings, log, isForMachines }: Run, serving: Serving): void {
  const { profile, info, isFirstStart } = serving;
  const { awsConfigFile, credentialsFile } = settings.directory;
  log.info(
    {
      endpoint: info.endpoint,
      healthEndpoint: info.healthEndpoint,
      device: info.device,
      credentials: profile.source === 'file' ? credentialsFile : 'environment',
      ...(isFirstStart ? { try: awsLinesToTry(profile, awsConfigFile) } : {}),
    },
    'serving',
  );
  // Whoever asked for JSON and is no person wants nothing else.
  if (isForMachines && context.output.isTTY !== true) return;
  const { healthEndpoint, dataDirectory } = info;
  const announcement = { profile, healthEndpoint, dataDirectory, awsConfigFile, isFirstStart };
  context.output.write(announcementText(announcement));
}

function deviceFailed(path: string): CommandError {
  return new CommandError(
    `the device ${path} has failed: the kernel refused a write or a flush, so what was in flight may or may not be there; nothing was retried. Look at the disk (dmesg, smartctl). The next start verifies the whole device before it serves`,
    { code: 'DEVICE_FAILED', path },
  );
}

function stopTimedOut(): CommandError {
  return new CommandError(
    `the clean stop was not over after ${STOP_MS_MAX} ms and was given up; what was acknowledged is safe, and the next start recovers as after a crash`,
    { code: 'STOP_TIMED_OUT' },
  );
}
