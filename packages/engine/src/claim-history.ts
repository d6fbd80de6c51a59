/**
 * What a manifest remembers of claims that lost the device while their processes may have lived on.
 *
 * A *fence* says where the log of such a claim ends, and which segments it may still write. It stands
 * in every manifest until the claim is proved dead and what it wrote past its fence was looked at. That
 * look leaves a *note*, for forensics; notes are bounded, and those that say nothing go first.
 */
import { ByteWriter } from '@dozo/base';
import type { ByteReader } from '@dozo/base';
import { HOLDER_TEXT_BYTES_MAX, RESERVATION_SEGMENTS_MAX } from '@dozo/claim';
import type { ClaimIdentity, DeathProof, Slot } from '@dozo/claim';
import { FENCES_MAX, NOTE_KEYS_MAX, NOTE_KEY_BYTES_MAX, ZOMBIE_NOTES_MAX } from './limits.ts';

/** A claim that was fenced, and by whom. */
export interface FencedClaim {
  readonly identity: ClaimIdentity;
  readonly host: string;
  /** Empty where there is none. */
  readonly podName: string;
  readonly processId: number;
  /** When it had taken its claim. */
  readonly sinceWallMs: number;
  /** Who set the fence, and when. */
  readonly by: ClaimIdentity;
  readonly fencedWallMs: number;
}

/** Where the log of a claim ends for ever. */
export interface Fence extends FencedClaim {
  /**
   * The claim's last segment that counts, the ordinal of that use, and the byte offset in it where the
   * last valid group ends. All 0 when nothing of it counts.
   */
  readonly segment: number;
  readonly ordinal: number;
  readonly end: number;
  /** What its slot reserved: where it may still write. */
  readonly segments: readonly number[];
}

/** What was found past the fence of a claim. */
export interface ZombieFindings {
  readonly groupCount: number;
  /** Puts, deletes, and deletes of ranges. */
  readonly recordCount: number;
  /** What its groups take on the device. */
  readonly bytes: number;
  /** Wall clock in ms of the first and the last group; 0 when there is none. */
  readonly firstWallMs: number;
  readonly lastWallMs: number;
  /** The first keys, each cut after 64 bytes; of a range the one that it begins with. */
  readonly keys: readonly Uint8Array[];
}

/** What is remembered when the quarantine of a claim has been released. */
export interface ZombieNote extends FencedClaim, ZombieFindings {
  /** How it was known that the process was dead; `unknown`: an earlier claim knew it. */
  readonly proof: DeathProof | 'unknown';
  readonly notedWallMs: number;
}

/** Part of every manifest. */
export interface ClaimHistory {
  /** In order of the claims; at most 24. */
  readonly fences: readonly Fence[];
  /** Oldest first; at most 8. */
  readonly notes: readonly ZombieNote[];
}

export const NO_HISTORY: ClaimHistory = { fences: [], notes: [] };

const PROOFS: readonly ZombieNote['proof'][] = [
  'released',
  'stopped',
  'kernel',
  'rebooted',
  'operator',
  'lease',
  'unknown',
];

/** The fields that fences and notes share, from a slot of the ring. */
export function fencedClaimOf(slot: Slot, by: ClaimIdentity, fencedWallMs: number): FencedClaim {
  const { identity, holder, sinceWallMs } = slot;
  const { host, podName = '', processId } = holder;
  return { identity, host, podName, processId, sinceWallMs, by, fencedWallMs };
}

/** Those fields alone, of a fence or a note. */
export function fencedClaim(of: FencedClaim): FencedClaim {
  const { identity, host, podName, processId, sinceWallMs, by, fencedWallMs } = of;
  return { identity, host, podName, processId, sinceWallMs, by, fencedWallMs };
}

/** The notes with one more. Where there are too many, the oldest that tells of no write goes first. */
export function withNote(notes: readonly ZombieNote[], note: ZombieNote): readonly ZombieNote[] {
  const kept = [...notes, note];
  if (kept.length <= ZOMBIE_NOTES_MAX) return kept;
  const silent = kept.findIndex(({ groupCount }) => groupCount === 0);
  kept.splice(Math.max(0, silent), 1);
  return kept;
}

/** Encodes a history as it stands at the end of a manifest. */
export function encodeHistory({ fences, notes }: ClaimHistory): Uint8Array {
  const writer = new ByteWriter();
  writer.uint32(fences.length).uint32(notes.length);
  for (const fence of fences) {
    writeFencedClaim(writer, fence);
    writer.uint32(fence.segment).uint64(fence.ordinal).uint32(fence.end);
    writer.uint32(fence.segments.length);
    for (const segment of fence.segments) writer.uint32(segment);
  }
  for (const note of notes) {
    writeFencedClaim(writer, note);
    writer.uint8(PROOFS.indexOf(note.proof)).uint64(note.notedWallMs);
    writer.uint32(note.groupCount).uint64(note.recordCount).uint64(note.bytes);
    writer.uint64(note.firstWallMs).uint64(note.lastWallMs).uint32(note.keys.length);
    for (const key of note.keys) writer.sizedBytes(key);
  }
  return writer.finish();
}

/** Throws `CodecError`. */
export function decodeHistory(reader: ByteReader): ClaimHistory {
  const [fenceCount, noteCount] = [reader.uint32(), reader.uint32()];
  if (fenceCount > FENCES_MAX || noteCount > ZOMBIE_NOTES_MAX) {
    throw reader.invalid('it remembers too many claims');
  }
  const fences = Array.from({ length: fenceCount }, () => readFence(reader));
  const notes = Array.from({ length: noteCount }, () => readNote(reader));
  return { fences, notes };
}

function readFence(reader: ByteReader): Fence {
  const claim = readFencedClaim(reader);
  const place = { segment: reader.uint32(), ordinal: reader.uint64(), end: reader.uint32() };
  const count = reader.uint32();
  if (count > RESERVATION_SEGMENTS_MAX) throw reader.invalid('a fence has too many segments');
  return { ...claim, ...place, segments: Array.from({ length: count }, () => reader.uint32()) };
}

function readNote(reader: ByteReader): ZombieNote {
  const claim = readFencedClaim(reader);
  const proof = PROOFS[reader.uint8()];
  if (proof === undefined) throw reader.invalid('a note has an unknown proof of death');
  const numbers = {
    notedWallMs: reader.uint64(),
    groupCount: reader.uint32(),
    recordCount: reader.uint64(),
    bytes: reader.uint64(),
    firstWallMs: reader.uint64(),
    lastWallMs: reader.uint64(),
  };
  const keyCount = reader.uint32();
  if (keyCount > NOTE_KEYS_MAX) throw reader.invalid('a note has too many keys');
  const keys = Array.from({ length: keyCount }, () => reader.sizedBytes(NOTE_KEY_BYTES_MAX));
  return { ...claim, proof, ...numbers, keys };
}

function writeFencedClaim(writer: ByteWriter, claim: FencedClaim): void {
  const { identity, by } = claim;
  writer.uint64(identity.incarnation).bytes(identity.nonce);
  writer.text(claim.host).text(claim.podName).uint32(claim.processId).uint64(claim.sinceWallMs);
  writer.uint64(by.incarnation).bytes(by.nonce).uint64(claim.fencedWallMs);
}

function readFencedClaim(reader: ByteReader): FencedClaim {
  const readIdentity = (): ClaimIdentity => ({
    incarnation: reader.uint64(),
    nonce: reader.bytes(16),
  });
  return {
    identity: readIdentity(),
    host: reader.text(HOLDER_TEXT_BYTES_MAX),
    podName: reader.text(HOLDER_TEXT_BYTES_MAX),
    processId: reader.uint32(),
    sinceWallMs: reader.uint64(),
    by: readIdentity(),
    fencedWallMs: reader.uint64(),
  };
}
