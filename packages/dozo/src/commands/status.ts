/** `dozo status`: a running daemon, or what its device says when none runs. */
import { hasCode } from '@dozo/base';
import { inspectDevice } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { askDaemon } from '../composition/daemon-status.ts';
import type { DaemonStatus, EngineStatus } from '../composition/daemon-status.ts';
import { dataDirectoryAt, defaultDataDirectory } from '../composition/data-directory.ts';
import type { DataDirectory } from '../composition/data-directory.ts';
import { deviceReportText, readQuarantine, reportDevice } from '../composition/device-report.ts';
import { openDeviceToLook } from '../composition/open-device.ts';
import { readRuntimeFile } from '../composition/runtime-file.ts';
import { EXIT_DONE, EXIT_NOT_RUNNING } from '../exit-codes.ts';
import { isoTime } from '../forensics/wording.ts';
import { formatSize } from '../sizes.ts';
import { workLines } from './status-work.ts';

export interface StatusOptions {
  readonly data?: string;
  readonly device?: string;
  readonly json: boolean;
}

/** Asks the daemon through its health port; reads the device where none answers. */
export async function runStatus(context: CommandContext, options: StatusOptions): Promise<number> {
  const directory = dataDirectoryAt(options.data ?? defaultDataDirectory(context.environment));
  const info = await readRuntimeFile(directory.runtimeFile);
  const status = info === undefined ? undefined : await askDaemon(info);
  if (status !== undefined) {
    const report = { running: true, ...status };
    context.output.write(options.json ? json(report) : runningText(status));
    return EXIT_DONE;
  }
  // A daemon that was killed has left the name of its device behind.
  const path = options.device ?? info?.device ?? directory.deviceFile;
  context.output.write(await offlineText(directory, path, options.json));
  return EXIT_NOT_RUNNING;
}

async function offlineText(
  directory: DataDirectory,
  path: string,
  asJson: boolean,
): Promise<string> {
  const found = await inspect(path);
  const dataDirectory = directory.path;
  if (asJson) return json({ running: false, dataDirectory, device: found?.report ?? null });
  const title = `no daemon runs on ${dataDirectory}\n`;
  return found === undefined
    ? `${title}nothing is at ${path}: not started yet?\n`
    : `${title}${found.text}`;
}

async function inspect(
  path: string,
): Promise<{ readonly report: object; readonly text: string } | undefined> {
  let device;
  try {
    device = await openDeviceToLook(path);
  } catch (error) {
    if (hasCode(error, 'DEVICE_NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    const inspection = await inspectDevice(device);
    const quarantine = await readQuarantine(device, inspection);
    const report = reportDevice(path, device.sizeBytes, inspection, quarantine);
    return { report, text: deviceReportText(report, inspection.newestClaim) };
  } finally {
    await device.close();
  }
}

function runningText(status: DaemonStatus): string {
  const { engine } = status;
  const lines = [
    `dozo ${status.version} is ${status.phase}, process ${status.pid}, since ${status.startedAt}`,
    `  S3 endpoint   ${status.endpoint}`,
    `  health        ${status.healthEndpoint}`,
    `  data          ${status.dataDirectory}`,
    `  device        ${status.device}`,
    `  memory        ${formatSize(status.residentBytes)} resident`,
  ];
  if (engine !== undefined) {
    const { liveBytes, usableBytes, availableBytes } = engine;
    const { keyCount, freeSegmentCount, segmentCount, checksumErrorCount } = engine;
    lines.push(
      `  space         ${formatSize(liveBytes)} of ${formatSize(usableBytes)} used; ${formatSize(availableBytes)} can be put`,
      `  keys          ${keyCount}`,
      `  segments      ${freeSegmentCount} of ${segmentCount} free`,
      ...workLines(engine),
    );
    lines.push(...claimLines(engine, status.device));
    if (checksumErrorCount > 0) {
      lines.push(`  DAMAGE        ${checksumErrorCount} reads met a wrong checksum; see the log`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function claimLines(engine: EngineStatus, device: string): readonly string[] {
  const { claim, state, quarantinedClaims, quarantinedSegmentCount, segmentBytes } = engine;
  const lines: string[] = [];
  if (claim !== undefined) {
    const { incarnation, sinceWallMs, leaseLeftMs, leaseMs, beatIntervalMs, isLocal } = claim;
    const lease =
      state !== 'open'
        ? `over: ${state}`
        : leaseLeftMs > 0
          ? `${leaseLeftMs} of ${leaseMs} ms left`
          : 'lapsed: the next beat renews it, or shows who took over';
    lines.push(
      `  claim         ${incarnation}, since ${isoTime(sinceWallMs)}${isLocal ? '; local' : ''}`,
      `  lease         ${lease}; a beat every ${beatIntervalMs} ms`,
    );
  }
  if (quarantinedClaims.length > 0) {
    const space = formatSize(quarantinedSegmentCount * segmentBytes);
    lines.push(
      `  QUARANTINE    ${quarantinedSegmentCount} segments (${space}) are kept apart for earlier holders that are not proved dead:`,
    );
    for (const { incarnation, processId, host, podName, fencedAt } of quarantinedClaims) {
      const pod = podName === '' ? '' : `, pod ${podName}`;
      lines.push(
        `    claim ${incarnation}: process ${processId} on host ${host}${pod}, fenced ${fencedAt}`,
      );
    }
    lines.push(`    what they wrote: dozo forensics ${device}`);
  }
  return lines;
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
