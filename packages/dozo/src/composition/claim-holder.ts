/** Who we are, as a claim says it. */
import type { Holder } from '@dozo/claim';
import { readHostIdentity } from '@dozo/platform';

import { dozoVersion } from '../version.ts';

/** This process, for the slot that it writes to its device. */
export function claimHolder(environment: NodeJS.ProcessEnv): Holder {
  const { pid, ...identity } = readHostIdentity(environment);
  return { ...identity, processId: pid, softwareVersion: dozoVersion() };
}
