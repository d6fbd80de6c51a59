/**
 * Contract suites: what every implementation of a port must do, real or simulated.
 *
 * A suite is a list of named cases and knows no test framework; the tests of `platform` and
 * `simulator` register each case with theirs. A case that fails throws {@link ContractViolation}.
 */
import { hasCode } from '../errors.ts';

/** One thing that an implementation must do. */
export interface ContractCase {
  /** A sentence, to be used as the name of a test. */
  readonly name: string;
  /** Rejects if the implementation does not do it. */
  readonly run: () => Promise<void>;
}

/** An implementation breaks its contract. */
export class ContractViolation extends Error {
  override readonly name = 'ContractViolation';
}

/** Throws {@link ContractViolation} unless `condition`. */
export function demand(condition: boolean, expectation: string): asserts condition {
  if (!condition) throw new ContractViolation(`It is not so that ${expectation}.`);
}

/** Demands that `promise` rejects with an error of `code`, and returns the error's detail. */
export async function demandRejection(promise: Promise<unknown>, code: string): Promise<unknown> {
  let outcome: unknown;
  try {
    await promise;
  } catch (error) {
    if (hasCode(error, code)) return (error as { detail: unknown }).detail;
    outcome = error;
  }
  throw new ContractViolation(`It rejects with ${code}, but the outcome is ${String(outcome)}.`);
}
