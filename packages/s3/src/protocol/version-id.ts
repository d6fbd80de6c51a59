/** Version ids of buckets without versioning: every object is the version `null`. */
import { invalidArgument } from '../errors.ts';

/**
 * Accepts no version id and `null`. Any other was never given out.
 *
 * @throws S3Error `InvalidArgument`.
 */
export function requireNullVersion(versionId: string | undefined): void {
  if (versionId === undefined || versionId === 'null') return;
  throw invalidArgument('versionId', versionId, 'Invalid version id specified');
}
