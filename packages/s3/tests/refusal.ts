/** What a call refuses with, for tests. */
import { S3Error } from '../src/errors.ts';

/** The {@link S3Error} that `run` throws; fails the test if it throws none or something else. */
export function refusal(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('expected a refusal, and there was none');
}
