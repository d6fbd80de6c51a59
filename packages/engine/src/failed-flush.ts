/**
 * What a write or flush that failed demands of the next start: a verify of everything. Nobody knows which of
 * the blocks of that write are on the device, and none of them was read again by who wrote them.
 */
import { hexOfBytes } from '@dozo/base';
import type { Ring, Slot } from '@dozo/claim';
import { newCounters } from './counters.ts';
import { EngineError } from './errors.ts';
import type { LogSource } from './log-walk.ts';
import type { OpenOptions } from './opening.ts';
import { RecordReader } from './record-reader.ts';
import type { Recovered } from './recovery.ts';
import type { Superblock } from './superblock.ts';
import type { TreeAccess } from './tree-access.ts';
import { verifyDevice } from './verify.ts';

/** Whether the last holder that served, or anyone since, saw a write or flush fail. */
export function sawFailedFlush(ring: Ring, recoverFrom: Slot | undefined): boolean {
  const since = recoverFrom?.identity.incarnation ?? 0;
  const isConcerned = (slot: Slot | undefined): boolean =>
    slot?.failedFlush !== undefined && slot.identity.incarnation >= since;
  return ring.slots.some(({ slot }) => isConcerned(slot));
}

/** Verifies everything, and rejects with `DEVICE_NEEDS_REPAIR` if anything is damaged. */
export async function refuseDamage(parts: {
  readonly options: OpenOptions;
  readonly superblock: Superblock;
  readonly source: LogSource;
  readonly tree: TreeAccess;
  readonly recovered: Recovered;
}): Promise<void> {
  const { options, superblock, source, tree, recovered } = parts;
  const { catalog, parts: logParts, pages, checkpoint: checkpointNumber } = recovered;
  const { segments } = catalog;
  const records = new RecordReader({ source, segments, counters: newCounters(), switches: {} });
  const report = await verifyDevice({
    superblock,
    source,
    catalog,
    parts: logParts,
    pages,
    checkpointNumber,
    tree,
    records,
    onProgress: options.onVerifyProgress,
    signal: undefined,
  });
  const first = report.damages[0];
  if (first === undefined) return;
  const { path } = options.device;
  const key = first.key === undefined ? '' : ` (key ${hexOfBytes(first.key)})`;
  throw new EngineError(
    `Opening ${path}: its last holder saw a write fail, and the verify which that demands found ` +
      `${report.damages.length} damaged places; the first at byte ${first.offset}${key}: ` +
      `${first.reason}. \`dozo device check\` lists them all and says what a repair would cost.`,
    {
      code: 'DEVICE_NEEDS_REPAIR',
      path,
      damageCount: report.damages.length,
      firstReason: first.reason,
    },
  );
}
