/** What a device says of itself, for people and as JSON. */
import { hasCode, hexOfBytes } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { ClaimState, Slot } from '@dozo/claim';
import { assessRing, describeClaim, isSameClaim } from '@dozo/claim';
import { readManifestOf } from '@dozo/engine';
import type { DeviceInspection, Fence } from '@dozo/engine';

import { isoTime } from '../forensics/wording.ts';
import { formatDuration } from '../guard/durations.ts';
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
  readonly beatCount: number;
  readonly reservedSegments: readonly number[];
  /** Lower than the newest, and not proved dead: its segments are kept apart for it. */
  readonly isQuarantined: boolean;
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
  /** What all who claim it agree on. */
  readonly beatIntervalMs: number;
  readonly leaseMs: number;
  readonly isLocal: boolean;
  readonly claimSlots: number;
  readonly lostClaimSlots: readonly number[];
  /** Newest first; the first one holds the device or held it last. */
  readonly claims: readonly ClaimReport[];
  /** What is kept apart for claims that are not proved dead, in all. */
  readonly quarantine: {
    readonly claimCount: number;
    readonly segmentCount: number;
    readonly bytes: number;
  };
}

/** What is kept apart on a device, and for whom. */
export interface Quarantine {
  /** Claims below the newest that are not proved dead, newest first. */
  readonly claims: readonly Slot[];
  /** Segments by claim, and in all, each once: also those of dead claims that nobody has looked at yet. */
  readonly segmentsOf: (claim: Slot) => readonly number[];
  readonly segments: ReadonlySet<number>;
}

/**
 * Reads what is kept apart. The ring says for whom, as far as it alone can: a claimant may know more (that
 * it holds the very lock of one of them, or that the machine was started again). The fences say which
 * segments; for claims without one, their slots do.
 */
export async function readQuarantine(
  device: Device,
  { ring, superblock }: DeviceInspection,
): Promise<Quarantine> {
  const witness = {
    bootId: '',
    lockIdentity: { kind: 'none', name: '' },
    isLocal: superblock.isLocal,
  } as const;
  const { unproven } = assessRing(ring, superblock.geometry.ringSlotCount, witness);
  const claims = unproven.map(({ slot }) => slot).filter((slot) => slot !== ring.newest);
  const fences = await readFences(device, superblock, ring.newestWithCheckpoint);
  const segmentsOf = ({ identity, reservation }: Slot): readonly number[] =>
    fences.find((fence) => isSameClaim(fence.identity, identity))?.segments ?? reservation;
  const segments = [...claims.map(segmentsOf), ...fences.map((fence) => fence.segments)];
  return { claims, segmentsOf, segments: new Set(segments.flat()) };
}

async function readFences(
  device: Device,
  superblock: DeviceInspection['superblock'],
  slot: Slot | undefined,
): Promise<readonly Fence[]> {
  if (slot === undefined) return [];
  try {
    return (await readManifestOf(device, superblock, slot))?.history.fences ?? [];
  } catch (error) {
    // What the ring says is shown all the same.
    if (hasCode(error, 'DEVICE_READ_FAILED')) return [];
    throw error;
  }
}

/** Makes the report of an inspected device. */
export function reportDevice(
  path: string,
  sizeBytes: number,
  inspection: DeviceInspection,
  quarantine: Quarantine,
): DeviceReport {
  const { superblock, limits } = inspection;
  const { geometry, beatIntervalMs, leaseMs, isLocal } = superblock;
  const segmentCount = quarantine.segments.size;
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
    ...{ beatIntervalMs, leaseMs, isLocal },
    claimSlots: geometry.ringSlotCount,
    lostClaimSlots: inspection.lostSlots,
    claims: inspection.claims.map((slot) => reportClaim(slot, quarantine.claims.includes(slot))),
    quarantine: {
      claimCount: quarantine.claims.length,
      segmentCount,
      bytes: segmentCount * geometry.segmentStrideBytes,
    },
  };
}

/** The form for people. */
export function deviceReportText(report: DeviceReport, newest: Slot | undefined): string {
  const { segmentCount, segmentBytes, claims, lostClaimSlots } = report;
  const [last] = claims;
  const { beatIntervalMs, leaseMs, isLocal } = report;
  const reach = isLocal
    ? 'local: only this machine reaches it'
    : 'other machines may reach it: a takeover without proof waits for the lease';
  const lines = [
    `${report.path}: a Dozo device of ${formatSize(report.sizeBytes)}`,
    `  id            ${report.deviceId}`,
    `  formatted     ${report.created}`,
    `  segments      ${segmentCount} of ${formatSize(segmentBytes)}; ${formatSize(report.usableBytes)} can hold data`,
    `  lease         ${formatDuration(leaseMs)}, a beat every ${formatDuration(beatIntervalMs)}; ${reach}`,
    `  claims        ${claims.length} remembered, room for ${report.claimSlots}`,
    `  newest claim  ${newest === undefined ? 'none: never used' : describeClaim(newest)}`,
  ];
  if (last !== undefined) {
    const { kind, name } = last.lock;
    lines.push(
      `    its lock    ${kind === 'none' ? 'none that others can rely on' : `${kind} ${name}`}`,
    );
    lines.push(`    written     ${last.lastWritten}${beatsInWords(last)}`);
    lines.push(`    reserved    ${last.reservedSegments.join(', ') || 'nothing'}`);
    if (last.failedFlush !== undefined) {
      const { at, cause } = last.failedFlush;
      lines.push(`    FAILED      a write or flush failed at ${at}: ${cause}`);
    }
  }
  lines.push(...quarantineLines(report));
  if (report.sizeBytes - report.formattedBytes >= segmentBytes * 1.02) {
    const more = formatSize(report.sizeBytes - report.formattedBytes);
    lines.push(`  LARGER        by ${more} than it uses: dozo device grow ${report.path}`);
  }
  if (lostClaimSlots.length > 0) {
    lines.push(`  DAMAGED       claim slots ${lostClaimSlots.join(', ')} cannot be read`);
  }
  return `${lines.join('\n')}\n`;
}

function beatsInWords({ state, beatCount }: ClaimReport): string {
  const isOver: Readonly<Record<ClaimState, boolean>> = {
    ...{ claiming: false, held: false, released: true, stopped: true },
  };
  return isOver[state] ? '' : ` (beat ${beatCount})`;
}

function quarantineLines({ path, claims, quarantine }: DeviceReport): readonly string[] {
  const { claimCount, segmentCount, bytes } = quarantine;
  if (segmentCount === 0) return [];
  const space = `${segmentCount} segments (${formatSize(bytes)}) are kept apart`;
  if (claimCount === 0) {
    return [
      `  QUARANTINE    ${space} for dead claims; the next start looks at them and frees them`,
    ];
  }
  const doubt = claimCount === 1 ? '1 earlier claim is' : `${claimCount} earlier claims are`;
  const lines = [`  QUARANTINE    ${doubt} not proved dead; ${space}`];
  for (const { incarnation, holder, lastWritten, isQuarantined } of claims) {
    if (!isQuarantined) continue;
    const pod = holder.podName === undefined ? '' : `, pod ${holder.podName}`;
    lines.push(
      `    claim ${incarnation}: process ${holder.processId} on host ${holder.host}${pod}, last beat ${lastWritten}`,
    );
  }
  lines.push(`    what they wrote: dozo forensics ${path}`);
  lines.push(`    if they are certainly dead: dozo device release-quarantine ${path}`);
  return lines;
}

function reportClaim(slot: Slot, isQuarantined: boolean): ClaimReport {
  const { failedFlush } = slot;
  return {
    incarnation: slot.identity.incarnation,
    nonce: hexOfBytes(slot.identity.nonce),
    state: slot.state,
    holder: slot.holder,
    lock: slot.lockIdentity,
    since: isoTime(slot.sinceWallMs),
    lastWritten: isoTime(slot.lastWallMs),
    beatCount: slot.beatCounter,
    reservedSegments: slot.reservation,
    isQuarantined,
    ...(failedFlush === undefined
      ? {}
      : { failedFlush: { at: isoTime(failedFlush.wallMs), cause: failedFlush.cause } }),
  };
}
