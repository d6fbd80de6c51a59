/** What the model explores: the rules as they are, and each rule left out. */
import type { Deed, ModelConfig, Omission } from './model-config.ts';

/** Takes the claim, serves, and goes on in a second segment. */
const SHORT: readonly Deed[] = [
  'recover',
  'reserve',
  'fence',
  'point',
  'append',
  'reserve',
  'seal',
  'point',
];
/** Also empties the first segment and writes a segment once more. */
const LONG: readonly Deed[] = [...SHORT, 'drop', 'point', 'reserve', 'seal', 'point'];
const CLAIMS: readonly Deed[] = ['recover', 'reserve', 'fence'];

/** A run that is expected to hold. */
export interface SoundRun {
  readonly name: string;
  readonly config: ModelConfig;
}

const TWO = { claimants: 2, slotCount: 2, segmentCount: 3, ring: 'empty' } as const;
const THREE = {
  claimants: 3,
  slotCount: 3,
  segmentCount: 3,
  ring: 'empty',
  grain: 'slot',
} as const;

/** Every rule is kept: nothing may be found. */
export const SOUND_RUNS: readonly SoundRun[] = [
  { name: 'new device', config: { ...TWO, deeds: LONG } },
  {
    name: 'used device: slots and segments of the dead are used again',
    config: { ...TWO, slotCount: 3, segmentCount: 4, ring: 'old', deeds: LONG },
  },
  {
    name: 'new device, one is killed and known to be dead',
    config: { ...TWO, deeds: SHORT, kills: 1 },
  },
  {
    name: 'by slots, each its own',
    config: { ...THREE, draw: 'own', deeds: [...CLAIMS, 'point'] },
  },
  { name: 'by slots, any of them', config: { ...THREE, deeds: ['reserve'] } },
];

/** What `npm test` explores of it. */
export const QUICK_RUNS: readonly SoundRun[] = [
  { name: 'two claimants of a new device', config: { ...TWO, deeds: [...CLAIMS, 'point'] } },
  {
    name: 'two claimants, one of whom is killed and known to be dead',
    config: { ...TWO, deeds: [...CLAIMS, 'point', 'append'], kills: 1 },
  },
  {
    name: 'three claimants by slots',
    config: { ...THREE, draw: 'own', deeds: ['reserve'], segmentCount: 2 },
  },
];

/** A rule left out each: something must be found. */
export const OMISSION_RUNS: readonly (ModelConfig & { readonly without: Omission })[] = [
  { ...TWO, deeds: SHORT, without: 'no look after the claim' },
  { ...TWO, deeds: SHORT, without: 'no look after a reservation' },
  { ...TWO, deeds: SHORT, without: 'predecessors not excluded' },
  { ...TWO, deeds: SHORT, without: 'one block in a slot' },
  { ...TWO, deeds: SHORT, without: 'one slot without settling' },
  { ...TWO, deeds: SHORT, without: 'beats before the first look' },
  { ...TWO, deeds: SHORT, without: 'slots of the living reused' },
  { ...TWO, deeds: LONG, without: 'damaged blocks looked at once' },
  {
    ...TWO,
    deeds: [...SHORT, 'drop', 'reserve', 'seal'],
    without: 'reserved again before the checkpoint',
  },
  { ...TWO, deeds: SHORT, without: 'stopped while still writing' },
  { ...THREE, draw: 'own', deeds: CLAIMS, without: 'every loser says stopped' },
];
