/**
 * A slot: what one claim says of itself, in one block of 4,096 bytes.
 *
 * The block carries a checksum over all of it. Its layout is described in
 * `docs/formats/claim-area.md`. A block is either empty (all zero, never written), valid, or damaged;
 * there is nothing in between. It names its own place, so that a copy of it anywhere else (a write that
 * the device has misdirected) is damaged, and never counts as what a slot says.
 */
import { ByteReader, ByteWriter, CodecError, assert } from '@dozo/base';
import type { LockIdentity } from '@dozo/base';
import { readHead, sealBlock, writeHead } from './block-head.ts';
import type { BlockHead } from './block-head.ts';
import {
  ACCOUNT_OFFSET_BYTES,
  DEATHS_MAX,
  HOLDER_TEXT_BYTES_MAX,
  QUARANTINED_CLAIMS_MAX,
  RESERVATION_OFFSET_BYTES,
  RESERVATION_SEGMENTS_MAX,
  SLOT_BLOCK_BYTES,
} from './limits.ts';

/** Who writes to a device: one start of one process. Higher incarnations are later. */
export interface ClaimIdentity {
  /** An integer >= 1, higher than any on the ring when it was taken. */
  readonly incarnation: number;
  /** 16 random bytes; every checksum of the claim's records starts from them. */
  readonly nonce: Uint8Array;
}

/** The process behind a claim, for people. Texts over 128 bytes are cut. */
export interface Holder {
  readonly host: string;
  /** The kernel's id of the boot; empty where there is none, which proves nothing then. */
  readonly bootId: string;
  /** Of the operating system's installation, where the process can see it. */
  readonly machineId?: string;
  readonly processId: number;
  /** What its user calls it, as `dozo guard --name` says. */
  readonly name?: string;
  readonly podName?: string;
  readonly podUid?: string;
  readonly softwareVersion: string;
}

/**
 * - `claiming`: recovery runs, nothing was written but this slot and the fence.
 * - `held`: serves.
 * - `released`: has closed; everything it wrote was flushed.
 * - `stopped`: was fenced and has ended after a last successful flush.
 */
export type ClaimState = 'claiming' | 'held' | 'released' | 'stopped';

/**
 * How it is known that the process of a claim is dead and will never write again.
 *
 * - `released`, `stopped`: its own slot says so.
 * - `kernel`: it ran on this boot of this machine under the very lock that we hold now.
 * - `rebooted`: it ran on an earlier boot of this machine, and only this machine reaches the device.
 * - `operator`: a person said so.
 * - `lease`: no proof, but many claims ago: its lease was over. Only where nothing is kept of a holder
 *   that would have to be kept apart: in a claim file.
 */
export type DeathProof = 'released' | 'stopped' | 'kernel' | 'rebooted' | 'operator' | 'lease';

/**
 * What a claim has found out about all lower claims when it wrote this: they have no lease any more,
 * and are proved dead but for those that are named.
 */
export interface Account {
  /** Lower claims whose processes may still live. At most 12. */
  readonly quarantined: readonly ClaimIdentity[];
  /** The proofs that this claimant drew, oldest first: for people. The newest 8 are kept. */
  readonly deaths: readonly { readonly identity: ClaimIdentity; readonly proof: DeathProof }[];
}

/** Where the newest durable manifest lies. */
export interface CheckpointPointer {
  readonly segment: number;
  readonly segmentOrdinal: number;
  /** Byte offset on the device of the group that holds the manifest. */
  readonly groupOffset: number;
}

/** How far the log was certainly durable when the slot was written. */
export interface LogEnd {
  readonly segment: number;
  readonly segmentOrdinal: number;
  /** Byte offset on the device. */
  readonly offset: number;
}

/** A write or flush that failed: what is on the device since then is not known. */
export interface FailedFlush {
  readonly wallMs: number;
  /** The kernel's word for it, such as `EIO`. */
  readonly cause: string;
}

/** All that a block of a slot holds. */
export interface Slot {
  readonly deviceId: Uint8Array;
  readonly identity: ClaimIdentity;
  /** Counts the writes of this slot, over all claims that used it; the higher block is the newer. */
  readonly writeCounter: number;
  readonly state: ClaimState;
  readonly holder: Holder;
  readonly lockIdentity: LockIdentity;
  /** Grows with every write of the slot by this claim: what somebody who watches it looks at. */
  readonly beatCounter: number;
  readonly beatIntervalMs: number;
  readonly sinceWallMs: number;
  readonly lastWallMs: number;
  /** Absent until the claim has written its first manifest, the fence. */
  readonly checkpoint?: CheckpointPointer;
  readonly logEnd?: LogEnd;
  readonly failedFlush?: FailedFlush;
  /** Absent until the claim has waited out the leases of all lower ones. */
  readonly account?: Account;
  /** Segments that the claim may write, in the order in which it will. */
  readonly reservation: readonly number[];
}

/** What a block of the ring turned out to be. */
export type SlotBlock =
  | { readonly kind: 'empty' }
  | { readonly kind: 'damaged'; readonly reason: string }
  | { readonly kind: 'valid'; readonly slot: Slot };

const HEAD: BlockHead = { magic: 'DOZOSLOT', version: 3, what: 'a claim slot' };
const STATES: readonly ClaimState[] = ['claiming', 'held', 'released', 'stopped'];
const PROOFS: readonly DeathProof[] = [
  'released',
  'stopped',
  'kernel',
  'rebooted',
  'operator',
  'lease',
];
const LOCK_KINDS: readonly LockIdentity['kind'][] = ['none', 'file', 'block'];

/** Encodes a slot as one block. `blockNumber` is the block's place: which of the ring it is, from 0. */
export function encodeSlot(slot: Slot, blockNumber: number): Uint8Array {
  assert(slot.deviceId.length === 16 && slot.identity.nonce.length === 16, 'ids are 16 bytes');
  assert(slot.reservation.length <= RESERVATION_SEGMENTS_MAX, 'the reservation is too long');
  const writer = new ByteWriter(SLOT_BLOCK_BYTES);
  writeHead(writer, HEAD).bytes(slot.deviceId);
  writer.uint64(slot.identity.incarnation).bytes(slot.identity.nonce).uint64(slot.writeCounter);
  writer.uint8(STATES.indexOf(slot.state)).uint8(LOCK_KINDS.indexOf(slot.lockIdentity.kind));
  writer.uint16(flagsOf(slot)).uint32(slot.beatIntervalMs).uint64(slot.beatCounter);
  writer.uint64(slot.sinceWallMs).uint64(slot.lastWallMs);
  writer.uint32(slot.checkpoint?.segment ?? 0).uint32(slot.logEnd?.segment ?? 0);
  writer.uint64(slot.checkpoint?.segmentOrdinal ?? 0).uint64(slot.checkpoint?.groupOffset ?? 0);
  writer.uint64(slot.logEnd?.segmentOrdinal ?? 0).uint64(slot.logEnd?.offset ?? 0);
  writer.uint64(slot.failedFlush?.wallMs ?? 0).uint32(slot.holder.processId);
  writer.uint32(blockNumber);
  const texts = [
    slot.holder.host,
    slot.holder.bootId,
    slot.holder.podName ?? '',
    slot.holder.podUid ?? '',
    slot.holder.softwareVersion,
    slot.lockIdentity.name,
    slot.failedFlush?.cause ?? '',
    slot.holder.machineId ?? '',
    slot.holder.name ?? '',
  ];
  for (const text of texts) writer.text(cutText(text));
  assert(writer.length <= ACCOUNT_OFFSET_BYTES, 'the slot is too long');
  writer.zeros(ACCOUNT_OFFSET_BYTES - writer.length);
  if (slot.account !== undefined) writeAccount(writer, slot.account);
  writer.zeros(RESERVATION_OFFSET_BYTES - writer.length);
  writer.uint32(slot.reservation.length);
  for (const segment of slot.reservation) writer.uint32(segment);
  writer.zeros(SLOT_BLOCK_BYTES - writer.length);
  return sealBlock(writer.finish());
}

/**
 * Tells what a block of the ring is.
 *
 * @param deviceId the one that the superblock names.
 * @param blockNumber which block of the ring it is, from 0.
 */
export function decodeSlot(
  block: Uint8Array,
  deviceId: Uint8Array,
  blockNumber: number,
): SlotBlock {
  assert(block.length === SLOT_BLOCK_BYTES, 'a slot block has 4,096 bytes');
  if (isZero(block)) return { kind: 'empty' };
  try {
    const { slot, blockNumber: writtenFor } = readSlot(block);
    if (slot.deviceId.some((byte, index) => byte !== deviceId[index])) {
      return { kind: 'damaged', reason: 'it belongs to another device' };
    }
    if (writtenFor !== blockNumber) {
      return { kind: 'damaged', reason: `it was written for block ${writtenFor} of the ring` };
    }
    return { kind: 'valid', slot };
  } catch (error) {
    if (error instanceof CodecError) return { kind: 'damaged', reason: error.message };
    throw error;
  }
}

function readSlot(block: Uint8Array): { readonly slot: Slot; readonly blockNumber: number } {
  const reader = readHead(block, HEAD);
  const deviceId = reader.bytes(16);
  const identity = { incarnation: reader.uint64(), nonce: reader.bytes(16) };
  const writeCounter = reader.uint64();
  const state = STATES[reader.uint8()];
  const lockKind = LOCK_KINDS[reader.uint8()];
  if (state === undefined || lockKind === undefined) throw reader.invalid('the state is unknown');
  const flags = reader.uint16();
  const beats = { beatIntervalMs: reader.uint32(), beatCounter: reader.uint64() };
  const times = { sinceWallMs: reader.uint64(), lastWallMs: reader.uint64() };
  const [checkpointSegment, endSegment] = [reader.uint32(), reader.uint32()];
  const checkpoint = {
    segment: checkpointSegment,
    segmentOrdinal: reader.uint64(),
    groupOffset: reader.uint64(),
  };
  const logEnd = { segment: endSegment, segmentOrdinal: reader.uint64(), offset: reader.uint64() };
  const failedWallMs = reader.uint64();
  const processId = reader.uint32();
  const blockNumber = reader.uint32();
  const text = (): string => reader.text(HOLDER_TEXT_BYTES_MAX);
  const [host, bootId, podName, podUid, softwareVersion] = [text(), text(), text(), text(), text()];
  const lockIdentity = { kind: lockKind, name: text() };
  const failedFlush = { wallMs: failedWallMs, cause: text() };
  const [machineId, name] = [text(), text()];
  const slot: Slot = {
    deviceId,
    identity,
    writeCounter,
    state,
    holder: {
      host,
      bootId,
      processId,
      softwareVersion,
      ...(machineId === '' ? {} : { machineId }),
      ...(name === '' ? {} : { name }),
      ...(podName === '' ? {} : { podName }),
      ...(podUid === '' ? {} : { podUid }),
    },
    lockIdentity,
    ...beats,
    ...times,
    ...(flags & 1 ? { checkpoint } : {}),
    ...(flags & 2 ? { logEnd } : {}),
    ...(flags & 4 ? { failedFlush } : {}),
    ...(flags & 8 ? { account: readAccount(block) } : {}),
    reservation: readReservation(block),
  };
  return { slot, blockNumber };
}

function writeAccount(writer: ByteWriter, account: Account): void {
  const { quarantined } = account;
  const deaths = account.deaths.slice(-DEATHS_MAX);
  assert(quarantined.length <= QUARANTINED_CLAIMS_MAX, 'the account names too many claims');
  writer.uint16(quarantined.length).uint16(deaths.length);
  for (const { incarnation, nonce } of quarantined) writer.uint64(incarnation).bytes(nonce);
  for (const { identity, proof } of deaths) {
    writer.uint64(identity.incarnation).bytes(identity.nonce).uint8(PROOFS.indexOf(proof));
  }
}

function readAccount(block: Uint8Array): Account {
  const reader = new ByteReader(block, 'a claim slot', ACCOUNT_OFFSET_BYTES);
  const [quarantinedCount, deathCount] = [reader.uint16(), reader.uint16()];
  if (quarantinedCount > QUARANTINED_CLAIMS_MAX || deathCount > DEATHS_MAX) {
    throw reader.invalid('the account is too long');
  }
  const readIdentity = (): ClaimIdentity => ({
    incarnation: reader.uint64(),
    nonce: reader.bytes(16),
  });
  const quarantined = Array.from({ length: quarantinedCount }, readIdentity);
  const deaths = Array.from({ length: deathCount }, () => {
    const identity = readIdentity();
    const proof = PROOFS[reader.uint8()];
    if (proof === undefined) throw reader.invalid('a proof of death is unknown');
    return { identity, proof };
  });
  return { quarantined, deaths };
}

function readReservation(block: Uint8Array): number[] {
  const reader = new ByteReader(block, 'a claim slot', RESERVATION_OFFSET_BYTES);
  const count = reader.uint32();
  if (count > RESERVATION_SEGMENTS_MAX) throw reader.invalid('the reservation is too long');
  return Array.from({ length: count }, () => reader.uint32());
}

function flagsOf(slot: Slot): number {
  return (
    (slot.checkpoint === undefined ? 0 : 1) |
    (slot.logEnd === undefined ? 0 : 2) |
    (slot.failedFlush === undefined ? 0 : 4) |
    (slot.account === undefined ? 0 : 8)
  );
}

/** Cuts at a character, so that what is left is valid UTF-8 of at most the allowed length. */
function cutText(text: string): string {
  let cut = text.toWellFormed();
  while (new TextEncoder().encode(cut).length > HOLDER_TEXT_BYTES_MAX) {
    cut = cut.slice(0, cut.length > 2 * HOLDER_TEXT_BYTES_MAX ? 2 * HOLDER_TEXT_BYTES_MAX : -1);
    cut = cut.toWellFormed();
  }
  return cut;
}

function isZero(block: Uint8Array): boolean {
  // A ring has thousands of blocks, most of them never written: four bytes at a time.
  if (block.byteOffset % 4 !== 0) return block.every((byte) => byte === 0);
  const words = new Uint32Array(block.buffer, block.byteOffset, block.length / 4);
  for (const word of words) if (word !== 0) return false;
  return true;
}
