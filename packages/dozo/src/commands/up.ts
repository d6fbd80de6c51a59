/** `dozo up`: serve until a signal says stop, or the device fails. */
import type { Logger } from 'pino';

import type { CommandContext } from '../command-context.ts';
import { announcementText } from '../composition/announcement.ts';
import { awsLinesToTry } from '../composition/aws-profile.ts';
import { credentialsFromEnvironment } from '../composition/credentials.ts';
import { Daemon } from '../composition/daemon.ts';
import type { Serving } from '../composition/daemon.ts';
import { chooseFormat, createLog } from '../composition/log.ts';
import { runDaemon } from '../composition/run-daemon.ts';
import { listenForStopSignals } from '../composition/stop-signals.ts';
import { loadTlsFiles } from '../composition/tls-files.ts';
import { readUpSettings } from '../composition/up-settings.ts';
import type { UpOptions, UpSettings } from '../composition/up-settings.ts';
import type { CommandError } from '../errors.ts';
import { EXIT_BUG, EXIT_DONE, exitStatusOf } from '../exit-codes.ts';

/** Runs the daemon; resolves with the exit status when it has ended. */
export async function runUp(context: CommandContext, options: UpOptions): Promise<number> {
  const settings = readUpSettings(options, context.environment);
  // Said before anything is made, not after.
  credentialsFromEnvironment(context.environment);
  await context.boundMemory();
  const clock = await context.openClock();
  const format = chooseFormat(options.logFormat, context.errorOutput.isTTY ?? false);
  const log = createLog({ level: options.logLevel, format, color: format === 'human', clock });
  context.bugs.report = (error) => {
    log.fatal({ err: error }, 'this is a bug in dozo, please report it');
  };
  const stop = listenForStopSignals(context.signals, clock).signal;
  try {
    const tls = await loadTlsFiles(settings.tlsCertificatePath, settings.tlsKeyPath);
    const { environment, random } = context;
    const daemon = new Daemon({ settings, tls, environment, clock, random, log, stop });
    // Whoever asked for JSON and is no person finds everything in one line of the log.
    const isInLog = options.logFormat === 'json' && context.output.isTTY !== true;
    const onServing = (serving: Serving): void => {
      logServing(log, settings, serving, isInLog);
      if (!isInLog) announce(context, settings, serving);
    };
    await runDaemon({ daemon, clock, log, stop, onServing });
    return EXIT_DONE;
  } catch (error) {
    const status = exitStatusOf(error);
    // On a terminal the one line that main prints is enough.
    if (format === 'human' || status === EXIT_BUG) throw error;
    log.fatal({ code: (error as CommandError).code, status }, (error as Error).message);
    return status;
  }
}

function logServing(
  log: Logger,
  { directory }: UpSettings,
  { profile, info, isEmpty }: Serving,
  withLines: boolean,
): void {
  const { endpoint, healthEndpoint, device } = info;
  const credentials = profile.source === 'file' ? directory.credentialsFile : 'environment';
  const lines =
    isEmpty && withLines ? { try: awsLinesToTry(profile, directory.awsConfigFile) } : {};
  log.info({ endpoint, healthEndpoint, device, credentials, ...lines }, 'serving');
}

function announce(
  { output }: CommandContext,
  { directory: { awsConfigFile } }: UpSettings,
  { profile, info: { healthEndpoint, dataDirectory }, isEmpty }: Serving,
): void {
  const announcement = { profile, healthEndpoint, dataDirectory, awsConfigFile, isEmpty };
  output.write(announcementText(announcement));
}
