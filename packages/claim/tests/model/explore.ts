/**
 * Goes through every interleaving of the steps of a few claimants, depth first, each state once.
 *
 * A state is a row of numbers: the blocks of the ring, the contents of the segments, the claimants, and
 * who was killed. A claimant that just never moves again is in it by itself, since at each state
 * every other one goes on alone; that is the endless pause, and with a write under way the torn write.
 *
 * One reduction: a read of a block that nobody else can ever write again, and that does not end the
 * read of the ring, is done at once and alone, because its order against all else makes no difference.
 */
import type { Slot, SlotBlock } from '../../src/slot.ts';
import { after, hasNotLanded, newClaimant, newSlot, stepOf } from './claimant.ts';
import type { Claimant, Step, Surroundings } from './claimant.ts';
import { Interned, RowSet } from './interning.ts';
import { contentKey, partKey } from './log.ts';
import type { Content, Log } from './log.ts';
import type { ModelConfig } from './model-config.ts';
import { breachBetween, breachOf, reusableSlots } from './properties.ts';
import type { Scene } from './properties.ts';

/** What an exploration came to. */
export interface Verdict {
  readonly states: number;
  /** Beyond `statesMax`. */
  readonly isCutOff: boolean;
  /** The rule that was broken, in words, with the way there; absent when none was. */
  readonly breach?: { readonly rule: string; readonly trace: readonly string[] };
  /** States in which nobody can go on. */
  readonly ends: number;
}

interface Frame {
  readonly row: Int32Array;
  readonly label: string;
  readonly next: readonly Move[];
  at: number;
}

interface Move {
  readonly row: Int32Array;
  readonly label: string;
}

/** Explores everything that can happen, or up to the first breach. */
export function explore(config: ModelConfig): Verdict {
  return new Exploration(config).run();
}

class Exploration {
  readonly #config: ModelConfig;
  readonly #blocks = new Interned<SlotBlock>(blockKey);
  readonly #contents = new Interned<Content | undefined>(contentKey);
  readonly #claimants = new Interned<Claimant>(claimantKey);
  readonly #steps: Step[] = [];
  /** What each claimant becomes, by number and by what it meets. */
  readonly #becomes = new Map<number, number[]>();
  readonly #reusable = new Map<string, number>();
  readonly #seen = new RowSet();
  readonly #blockCount: number;
  readonly #firstClaimant: number;
  /** The first block of the step that ends a read of the ring. */
  readonly #lastRead: number;
  readonly #scene: Scene;
  #ends = 0;

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#blockCount = 2 * config.slotCount;
    this.#firstClaimant = this.#blockCount + config.segmentCount;
    this.#lastRead = this.#blockCount - (config.grain === 'slot' ? 2 : 1);
    this.#blocks.number({ kind: 'empty' });
    this.#blocks.number({ kind: 'damaged', reason: '' });
    this.#contents.number(undefined);
    this.#scene = {
      config,
      block: (row, index) => this.#blocks.value(row[index] as number),
      content: (row, segment) => this.#contents.value(row[this.#blockCount + segment] as number),
      claimant: (row, number) => this.#claimants.value(row[this.#firstClaimant + number] as number),
      killed: (row) => row.at(-1) as number,
      reusable: (row) => this.#reusableOf(row),
    };
  }

  run(): Verdict {
    const first = this.#initial();
    this.#seen.add(first);
    const path: Frame[] = [this.#frame(first, 'start')];
    const { statesMax = Infinity } = this.#config;
    for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
      const move = frame.next[frame.at++];
      if (move === undefined) {
        path.pop();
        continue;
      }
      if (!this.#seen.add(move.row)) continue;
      const rule =
        breachOf(this.#scene, move.row) ?? breachBetween(this.#scene, frame.row, move.row);
      if (rule !== undefined)
        return this.#verdict(rule, [...path.map(({ label }) => label), move.label]);
      if (this.#seen.size >= statesMax) return { ...this.#verdict(), isCutOff: true };
      const next = this.#frame(move.row, move.label);
      if (next.next.length === 0) {
        this.#ends++;
        const missing = this.#withoutWinner(move.row);
        if (missing !== undefined) {
          return this.#verdict(missing, [...path.map(({ label }) => label), move.label]);
        }
      }
      path.push(next);
    }
    return this.#verdict();
  }

  #verdict(rule?: string, trace: readonly string[] = []): Verdict {
    const states = this.#seen.size;
    const breach = rule === undefined ? {} : { breach: { rule, trace } };
    return { states, isCutOff: false, ends: this.#ends, ...breach };
  }

  /** Bits of the slots that whoever reads the ring at this moment may write. */
  #reusableOf(row: Int32Array): number {
    let key = '';
    for (let block = 0; block < this.#blockCount; block++) {
      key += String.fromCharCode(row[block] as number);
    }
    let bits = this.#reusable.get(key);
    if (bits === undefined) {
      bits = reusableSlots(this.#config, (index) => this.#scene.block(row, index));
      this.#reusable.set(key, bits);
    }
    return bits;
  }

  /** Who was overwritten by a third one tries again; otherwise somebody must have got it. */
  #withoutWinner(row: Int32Array): string | undefined {
    if (this.#scene.killed(row) !== 0) return undefined;
    for (let number = 0; number < this.#config.claimants; number++) {
      const { hasEntered, reason } = this.#scene.claimant(row, number);
      if (hasEntered || (reason === 'overwritten' && this.#config.claimants > 2)) return undefined;
    }
    return 'nobody has got the claim, though nobody was killed';
  }

  #initial(): Int32Array {
    const row = new Int32Array(this.#firstClaimant + this.#config.claimants + 1);
    if (this.#config.ring === 'old') this.#writeHistory(row);
    for (let number = 0; number < this.#config.claimants; number++) {
      row[this.#firstClaimant + number] = this.#claimants.number(newClaimant(number));
    }
    return row;
  }

  /** One claim has stopped, and a later one has closed and left a record in segment 0. */
  #writeHistory(row: Int32Array): void {
    const identity = (incarnation: number): Slot['identity'] => {
      return { incarnation, nonce: new Uint8Array(16) };
    };
    const stopped = { ...newSlot(identity(1), 0), state: 'stopped' as const };
    const account = { quarantined: [], deaths: [] };
    const checkpoint = { segment: 0, segmentOrdinal: 1, groupOffset: 0 };
    const closed = { ...newSlot(identity(2), 0), state: 'released' as const, account, checkpoint };
    for (const [index, slot] of [closed, stopped].entries()) {
      for (const block of [0, 1]) {
        const written = { ...slot, writeCounter: 1 + block };
        row[2 * index + block] = this.#blocks.number({ kind: 'valid', slot: written });
      }
    }
    const content: Content = { owner: '2/0', ordinal: 1, groups: [{ parts: [] }, 'record'] };
    row[this.#blockCount] = this.#contents.number(content);
  }

  #frame(row: Int32Array, label: string): Frame {
    return { row, label, next: this.#moves(row), at: 0 };
  }

  #moves(row: Int32Array): Move[] {
    const { claimants } = this.#config;
    for (let number = 0; number < claimants; number++) {
      if (this.#isAlone(row, number)) return this.#movesOf(row, number);
    }
    const moves: Move[] = [];
    for (let number = 0; number < claimants; number++) moves.push(...this.#movesOf(row, number));
    return [...moves, ...this.#kills(row)];
  }

  #stepOf(claimantNumber: number): Step {
    return (this.#steps[claimantNumber] ??= stepOf(
      this.#claimants.value(claimantNumber),
      this.#config,
    ));
  }

  /** Whether the next step of a claimant is a read whose order does not matter. */
  #isAlone(row: Int32Array, number: number): boolean {
    const step = this.#stepOf(row[this.#firstClaimant + number] as number);
    if (step.kind !== 'read' || step.block >= this.#lastRead) return false;
    if (this.#isKilled(row, number)) return false;
    if (step.block === 0 && !this.#isSettled(row, number)) return false;
    for (let other = 0; other < this.#config.claimants; other++) {
      if (other === number) continue;
      const { phase, tenure } = this.#scene.claimant(row, other);
      if (phase === 'gone' || this.#isKilled(row, other)) continue;
      if (phase === 'survey' || tenure?.slotIndex === step.block >> 1) return false;
    }
    return true;
  }

  #movesOf(row: Int32Array, number: number): Move[] {
    if (this.#isKilled(row, number)) return [];
    const at = this.#firstClaimant + number;
    const step = this.#stepOf(row[at] as number);
    if (step.kind === 'rest') return [];
    if (step.kind === 'read' && step.block === 0 && !this.#isSettled(row, number)) return [];
    const label = `${number + 1} ${describe(step)}`;
    const moves = this.#nextOf(row, number, step).map((next) => {
      const moved = row.slice();
      moved[at] = next;
      if (step.kind === 'begin') moved[step.block] = 1;
      if (step.kind === 'end') {
        moved[step.block] = this.#blocks.number({ kind: 'valid', slot: step.slot });
      }
      if (step.kind === 'fill') {
        moved[this.#blockCount + step.segment] = this.#contents.number(step.content);
      }
      return { row: moved, label };
    });
    // With slots as the grain, both blocks are read at once, and a write is one step.
    const isHalf = step.kind === 'begin' || (step.kind === 'read' && step.block % 2 === 0);
    if (this.#config.grain !== 'slot' || !isHalf) return moves;
    return moves.flatMap((move) => this.#movesOf(move.row, number));
  }

  #nextOf(row: Int32Array, number: number, step: Step): readonly number[] {
    const from = row[this.#firstClaimant + number] as number;
    const killed = this.#scene.killed(row);
    let met = 0;
    if (step.kind === 'read') met = row[step.block] as number;
    if (step.kind === 'recover') met = row[this.#blockCount + step.segment] as number;
    const key = (from * 4096 + met) * 8 + killed;
    let next = this.#becomes.get(key);
    if (next === undefined) {
      const around = {
        config: this.#config,
        blockOf: (block: number) => this.#blocks.value(block),
        blockNumber: met,
        killed,
        ...(step.kind === 'recover' ? { content: this.#contents.value(met) } : {}),
      };
      // What it only thinks makes no difference to anybody: at once.
      const claimants = after(this.#claimants.value(from), step, around).flatMap((claimant) =>
        thoughtThrough(claimant, around),
      );
      next = claimants.map((claimant) => this.#claimants.number(claimant));
      this.#becomes.set(key, next);
    }
    return next;
  }

  /**
   * The settle time: the first look is not begun while a claimant that saw our slot before our claim
   * landed there may still write it.
   */
  #isSettled(row: Int32Array, number: number): boolean {
    const { phase, tenure, hasEntered } = this.#scene.claimant(row, number);
    if (phase !== 'look' || hasEntered || tenure === undefined) return true;
    if (this.#config.without === 'one slot without settling') return true;
    const first = 2 * tenure.slotIndex;
    for (let other = 0; other < this.#config.claimants; other++) {
      if (other === number || this.#isKilled(row, other)) continue;
      const claimant = this.#scene.claimant(row, other);
      const isSurveying = claimant.phase === 'survey';
      const isWriting = hasNotLanded(claimant) && claimant.tenure?.slotIndex === tenure.slotIndex;
      if (!isSurveying && !isWriting) continue;
      const seen = isSurveying ? claimant.reads.slice(first, first + 2) : claimant.seen;
      if (seen.some((block) => this.#isBeforeUs(block, tenure.slot))) return false;
    }
    return true;
  }

  /** Whether a block of our slot was read before our claim landed. */
  #isBeforeUs(blockNumber: number, own: Slot): boolean {
    const block = this.#blocks.value(blockNumber);
    if (block.kind !== 'valid') return true;
    return block.slot.writeCounter < own.writeCounter;
  }

  #isKilled(row: Int32Array, number: number): boolean {
    return (this.#scene.killed(row) & (1 << number)) !== 0;
  }

  #kills(row: Int32Array): Move[] {
    const { kills = 0, claimants } = this.#config;
    const killed = this.#scene.killed(row);
    if (killed.toString(2).replaceAll('0', '').length >= kills) return [];
    const moves: Move[] = [];
    for (let number = 0; number < claimants; number++) {
      const { phase, tenure } = this.#scene.claimant(row, number);
      // Nobody knows of one that has not written anything, and who is gone will not write.
      if (phase === 'gone' || phase === 'survey' || tenure === undefined) continue;
      if (this.#isKilled(row, number)) continue;
      const moved = row.slice();
      moved[row.length - 1] = killed | (1 << number);
      moves.push({ row: moved, label: `${number + 1} is killed` });
    }
    return moves;
  }
}

function thoughtThrough(claimant: Claimant, around: Surroundings): readonly Claimant[] {
  const step = stepOf(claimant, around.config);
  if (step.kind !== 'think') return [claimant];
  return after(claimant, step, around).flatMap((next) => thoughtThrough(next, around));
}

function describe(step: Step): string {
  if (step.kind === 'read') return `reads block ${step.block}`;
  if (step.kind === 'begin') return `begins to write block ${step.block}`;
  if (step.kind === 'end') {
    const { writeCounter, state, reservation, identity } = step.slot;
    return `has written block ${step.block}: incarnation ${identity.incarnation}, write ${writeCounter}, ${state}, reserves [${reservation.join()}]`;
  }
  if (step.kind === 'recover') return `reads segment ${step.segment}`;
  if (step.kind === 'fill') return `writes segment ${step.segment}`;
  return 'goes on';
}

function blockKey(block: SlotBlock): string {
  return block.kind === 'valid' ? slotKey(block.slot) : block.kind;
}

function slotKey(slot: Slot): string {
  const { identity, writeCounter, state, checkpoint, account, reservation } = slot;
  const name = (of: Slot['identity']): string => `${of.incarnation}/${of.nonce[0] ?? 0}`;
  const pointer =
    checkpoint && `${checkpoint.segment}.${checkpoint.segmentOrdinal}.${checkpoint.groupOffset}`;
  const told = account?.quarantined.map(name).join();
  return [name(identity), writeCounter, state, pointer ?? '', told ?? '-', reservation.join()].join(
    '|',
  );
}

function claimantKey(claimant: Claimant): string {
  const {
    number,
    phase,
    reads,
    knownDead,
    isRetry,
    sightings,
    seen,
    tenure,
    change,
    earlier,
    log,
  } = claimant;
  const { deedIndex, deedStep, hasEntered, reason } = claimant;
  const plain = [
    number,
    phase,
    reads.join(),
    knownDead,
    isRetry,
    seen.join(),
    deedIndex,
    deedStep,
    hasEntered,
  ];
  const seenClaims = sightings.map(({ index, slot }) => `${index}=${slotKey(slot)}`).join(';');
  const named =
    earlier && `${earlier.verdict}${earlier.highest.incarnation}/${earlier.highest.nonce[0] ?? 0}`;
  const wish = [change.state, change.reservation?.join(), change.checkpoint?.segment];
  const wishes = [...wish, change.checkpoint?.groupOffset, change.account?.quarantined.length];
  return [
    plain.join('_'),
    seenClaims,
    tenure === undefined ? '' : tenureKey(tenure),
    wishes.join('_'),
    named ?? '',
    log === undefined ? '' : logKey(log),
    reason ?? '',
  ].join('~');
}

function tenureKey(tenure: NonNullable<Claimant['tenure']>): string {
  const { slotIndex, nextBlock, slot, writing, written, reading, confirmed, entry, end } = tenure;
  return [
    slotIndex,
    nextBlock,
    slotKey(slot),
    writing?.counter,
    written?.counter,
    reading?.write.counter,
    confirmed?.counter,
    entry.kind,
    end?.kind,
  ].join('_');
}

function logKey(log: Log): string {
  const { quarantined, forgiven, recoverFrom, parts, tail, open, nextOrdinal, manifestAt, usable } =
    log;
  return [
    quarantined.map(slotKey).join(';'),
    forgiven.join(),
    recoverFrom && slotKey(recoverFrom),
    parts?.map(partKey).join(),
    tail && partKey(tail),
    open && `${open.segment}=${contentKey(open.content)}`,
    nextOrdinal,
    manifestAt,
    usable.join(),
  ].join('_');
}
