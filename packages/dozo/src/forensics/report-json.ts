/**
 * The report as JSON: for programs. Its form is described in `docs/operations/forensics.md` and stable:
 * within one `version` fields are added, never changed or taken away.
 *
 * Times are ISO 8601, in UTC, by the clock of the machine that wrote them. Keys are bytes, and given as
 * text with `\xNN` and in hex.
 */
import { hexOfBytes } from '@dozo/base';
import type { ClaimIdentity } from '@dozo/claim';

import type { CaseFile } from './case-file.ts';
import type { HolderRow } from './holders.ts';
import type { Overlap } from './overlaps.ts';
import { isoTime, printableKey } from './wording.ts';

const REPORT_VERSION = 1;

/** The report; a plain value for `JSON.stringify`. */
export function reportJson({ evidence, rows, overlaps, verdict }: CaseFile): object {
  const { device } = evidence;
  return {
    version: REPORT_VERSION,
    path: evidence.path,
    kind: device === undefined ? 'claim-file' : 'device',
    id: hexOfBytes(evidence.id),
    sizeBytes: evidence.sizeBytes,
    createdAt: isoTime(evidence.createdWallMs),
    readAt: isoTime(evidence.readWallMs),
    settings: evidence.settings,
    claimSlots: evidence.slotCount,
    verdict,
    holders: rows.map((row) => holderJson(row, device?.segmentBytes)),
    overlaps: overlaps.map(overlapJson),
    unreadable: evidence.gaps,
  };
}

function holderJson(row: HolderRow, segmentBytes: number | undefined): object {
  const { end, late, quarantined, failedFlush, fence, lastBeatWallMs } = row;
  return {
    ...identityJson(row.identity),
    holder: row.holder,
    lock: row.lock ?? null,
    state: row.state ?? null,
    hasHeld: row.hasHeld,
    isRunning: row.isMoving,
    since: isoTime(row.sinceWallMs),
    lastBeat: lastBeatWallMs === undefined ? null : isoTime(lastBeatWallMs),
    beatCount: row.beatCount ?? null,
    end: {
      kind: end.kind,
      ...(end.kind === 'dead' ? { proof: end.proof, by: maybeIdentity(end.by) } : {}),
    },
    fence: fence === undefined ? null : { by: identityJson(fence.by), at: isoTime(fence.wallMs) },
    pastFence:
      late === undefined
        ? null
        : {
            source: late.source,
            groupCount: late.groupCount,
            recordCount: late.recordCount,
            bytes: late.bytes,
            firstAt: late.groupCount === 0 ? null : isoTime(late.firstWallMs),
            lastAt: late.groupCount === 0 ? null : isoTime(late.lastWallMs),
            keys: late.keys.map((key) => ({ text: printableKey(key), hex: hexOfBytes(key) })),
          },
    quarantine: {
      segments: quarantined,
      bytes: quarantined.length * (segmentBytes ?? 0),
    },
    failedFlush:
      failedFlush === undefined
        ? null
        : { at: isoTime(failedFlush.wallMs), cause: failedFlush.cause },
  };
}

function overlapJson(overlap: Overlap): object {
  return {
    first: identityJson(overlap.first.identity),
    second: identityJson(overlap.second.identity),
    from: isoTime(overlap.fromWallMs),
    to: isoTime(overlap.toWallMs),
    doClocksDisagree: overlap.doClocksDisagree,
    signs: overlap.signs.map(({ kind, certainty, wallMs }) => ({
      kind,
      certainty,
      at: isoTime(wallMs),
    })),
    sharedSegments: overlap.sharedSegments,
  };
}

function identityJson({ incarnation, nonce }: ClaimIdentity): object {
  return { incarnation, nonce: hexOfBytes(nonce) };
}

function maybeIdentity(identity: ClaimIdentity | undefined): object | null {
  return identity === undefined ? null : identityJson(identity);
}
