/** What a device says of itself, for people and as JSON. */
import { hexOfBytes } from '@dozo/base';
import type { Slot } from '@dozo/claim';
import { describeClaim } from '@dozo/claim';
import type { DeviceInspection } from '@dozo/engine';

import { formatSize } from '../sizes.ts';

/** One claim of the ring, without what only the engine needs. */
export interface ClaimReport {
  readonly incarnation: number;
  readonly nonce: string;
  readonly state: Slot['state'];
  readonly holder: Slot['holder'];
  readonly lock: Slot['lockIdentity'];
  /** ISO 8601. */
  readonly since: string;
  readonly lastWritten: string;
  readonly reservedSegments: readonly number[];
  readonly failedFlush?: { readonly at: string; readonly cause: string };
}

/** The JSON form of `dozo device show`. Sizes in bytes. */
export interface DeviceReport {
  readonly path: string;
  readonly deviceId: string;
  readonly created: string;
  readonly sizeBytes: number;
  readonly formattedBytes: number;
  readonly usableBytes: number;
  readonly segmentCount: number;
  readonly segmentBytes: number;
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  readonly claimSlots: number;
  readonly lostClaimSlots: readonly number[];
  /** Newest first; the first one holds the device or held it last. */
  readonly claims: readonly ClaimReport[];
}

/** Makes the report of an inspected device. */
export function reportDevice(
  path: string,
  sizeBytes: number,
  inspection: DeviceInspection,
): DeviceReport {
  const { superblock, limits } = inspection;
  const { geometry } = superblock;
  return {
    path,
    deviceId: hexOfBytes(superblock.deviceId),
    created: isoTime(superblock.createdWallMs),
    sizeBytes,
    formattedBytes: geometry.deviceBytes,
    usableBytes: inspection.usableBytes,
    segmentCount: geometry.segmentCount,
    segmentBytes: geometry.segmentPayloadBytes,
    keyBytesMax: limits.keyBytesMax,
    valueBytesMax: limits.valueBytesMax,
    claimSlots: geometry.ringSlotCount,
    lostClaimSlots: inspection.lostSlots,
    claims: inspection.claims.map(reportClaim),
  };
}

/** The form for people. */
export function deviceReportText(report: DeviceReport, newest: Slot | undefined): string {
  const { segmentCount, segmentBytes, claims, lostClaimSlots } = report;
  const [last] = claims;
  const lines = [
    `${report.path}: a Dozo device of ${formatSize(report.sizeBytes)}`,
    `  id            ${report.deviceId}`,
    `  formatted     ${report.created}`,
    `  segments      ${segmentCount} of ${formatSize(segmentBytes)}; ${formatSize(report.usableBytes)} can hold data`,
    `  claims        ${claims.length} remembered, room for ${report.claimSlots}`,
    `  newest claim  ${newest === undefined ? 'none: never used' : describeClaim(newest)}`,
  ];
  if (last !== undefined) {
    const { kind, name } = last.lock;
    lines.push(
      `    its lock    ${kind === 'none' ? 'none that others can rely on' : `${kind} ${name}`}`,
    );
    lines.push(`    written     ${last.lastWritten}`);
    lines.push(`    reserved    ${last.reservedSegments.join(', ') || 'nothing'}`);
    if (last.failedFlush !== undefined) {
      const { at, cause } = last.failedFlush;
      lines.push(`    FAILED      a write or flush failed at ${at}: ${cause}`);
    }
  }
  if (lostClaimSlots.length > 0) {
    lines.push(`  DAMAGED       claim slots ${lostClaimSlots.join(', ')} cannot be read`);
  }
  return `${lines.join('\n')}\n`;
}

function reportClaim(slot: Slot): ClaimReport {
  const { failedFlush } = slot;
  return {
    incarnation: slot.identity.incarnation,
    nonce: hexOfBytes(slot.identity.nonce),
    state: slot.state,
    holder: slot.holder,
    lock: slot.lockIdentity,
    since: isoTime(slot.sinceWallMs),
    lastWritten: isoTime(slot.lastWallMs),
    reservedSegments: slot.reservation,
    ...(failedFlush === undefined
      ? {}
      : { failedFlush: { at: isoTime(failedFlush.wallMs), cause: failedFlush.cause } }),
  };
}

/** A time that was read from a disk may be any number. */
function isoTime(wallMs: number): string {
  const time = new Date(wallMs);
  return Number.isNaN(time.getTime()) ? `${wallMs} ms` : time.toISOString();
}
