/**
 * The Random port: the only source of randomness.
 *
 * `platform` draws from the kernel, the simulator from a seed, so that a run can be repeated.
 */
export interface Random {
  /** Fills and returns a new array of `sizeBytes` random bytes. */
  bytes(sizeBytes: number): Uint8Array;

  /** A uniform integer in `[0, bound)`; `bound` is in `[1, 2^32]`. */
  below(bound: number): number;

  /** A uniform fraction in `[0, 1)`. */
  fraction(): number;
}
