/**
 * Reads a checkpoint: the pages that a manifest names, and what they say together.
 *
 * The pages were flushed before the manifest was, so whatever is not right in one of them is damage. What
 * follows from that is for the caller: opening refuses it, a repair looks for an older checkpoint.
 */
import { CodecError } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import { decodeCheckpointPage } from './checkpoint-page.ts';
import type {
  CheckpointCounters,
  CheckpointPage,
  PlacedTable,
  SegmentRow,
} from './checkpoint-page.ts';
import { hasPlace } from './geometry.ts';
import type { LogSource, SegmentUse } from './log-walk.ts';
import type { Manifest, PagePlace } from './manifest.ts';
import { RECORD_CHECKPOINT_PAGE, decodeRecordHead, headBytesOf, isValueIntact } from './record.ts';
import { seedOf } from './segment-header.ts';
import { readUnlessBroken } from './verify-values.ts';

/** What the pages of a checkpoint say, in their order. */
export interface ReadCheckpoint {
  readonly kind: 'whole';
  readonly tables: readonly PlacedTable[];
  readonly rows: readonly SegmentRow[];
  readonly counters: readonly CheckpointCounters[];
}

/** A use of a segment, and what the checksums of its writer go on from. */
type UseSeed = Pick<SegmentUse, 'ordinal' | 'seed'>;

/** The first page that is not right. */
export interface DamagedCheckpoint {
  readonly kind: 'damaged';
  readonly page: PagePlace;
  readonly reason: string;
}

/**
 * Reads the checkpoint of a manifest. Rejects with the device's read errors.
 *
 * @param own the use of a segment that the manifest stands in.
 */
export async function readCheckpoint(
  source: LogSource,
  manifest: Manifest,
  own: UseSeed,
): Promise<ReadCheckpoint | DamagedCheckpoint> {
  const tables: PlacedTable[] = [];
  const rows: SegmentRow[] = [];
  const counters: CheckpointCounters[] = [];
  for (const page of manifest.pages) {
    const content = await readContent(source, manifest, own, page);
    if (typeof content === 'string') return { kind: 'damaged', page, reason: content };
    if (content.kind === 'tables') tables.push(...content.tables);
    else if (content.kind === 'counters') counters.push(content.counters);
    else rows.push(...content.rows);
  }
  return { kind: 'whole', tables, rows, counters };
}

/**
 * Reads the pages of the checkpoint of a manifest one by one, those included that are not right: of these,
 * the content is the reason, in words. Rejects with the device's errors, but for failed reads.
 */
export async function* readCheckpointPages(
  source: LogSource,
  manifest: Manifest,
  own: UseSeed,
): AsyncGenerator<{ readonly page: PagePlace; readonly content: CheckpointPage | string }> {
  for (const page of manifest.pages) {
    const content = await readUnlessBroken(() => readContent(source, manifest, own, page));
    yield { page, content: content ?? 'the device cannot read a page of the checkpoint' };
  }
}

/** What a page says, or in words why nobody can tell. */
async function readContent(
  source: LogSource,
  manifest: Manifest,
  own: UseSeed,
  page: PagePlace,
): Promise<CheckpointPage | string> {
  const part = manifest.parts.find(({ ordinal }) => ordinal === page.ordinal);
  const seed =
    page.ordinal === own.ordinal
      ? own.seed
      : part === undefined
        ? undefined
        : seedOf(part.identity);
  const value =
    seed === undefined ? undefined : await readPage(source, page, manifest.checkpoint, seed);
  if (value === undefined) return 'a page of the checkpoint is damaged';
  const content = decoded(value);
  return typeof content === 'string' ? content : (problemIn(source, content) ?? content);
}

/** Puts a checkpoint into an empty catalog. @returns what is wrong with its tables, if anything is. */
export function restoreCheckpoint(
  catalog: Catalog,
  { tables, rows, counters }: ReadCheckpoint,
): string | undefined {
  for (const row of rows) catalog.restoreRow(row);
  for (const counted of counters) catalog.restoreCounters(counted);
  return catalog.restoreTables(tables);
}

/** The value of a checkpoint page's record; `undefined` when it is damaged. */
export async function readPage(
  source: LogSource,
  page: PagePlace,
  checkpoint: number,
  seed: number,
): Promise<Uint8Array | undefined> {
  const sizeBytes = headBytesOf(0, page.valueBytes) + page.valueBytes;
  if (!hasPlace(source.geometry, page.segment, page.offset, page.offset + sizeBytes)) {
    return undefined;
  }
  const bytes = await source.read(page.segment, page.offset, sizeBytes);
  const head = decodeRecordHead(bytes, 0, sizeBytes, seed);
  const isExpected =
    head?.type === RECORD_CHECKPOINT_PAGE &&
    head.lsn === checkpoint &&
    head.valueBytes === page.valueBytes;
  if (!isExpected || !isValueIntact(bytes, head, seed)) return undefined;
  return bytes.subarray(head.valueStart);
}

/** What a page says, or in words why nobody can tell. */
function decoded(value: Uint8Array): CheckpointPage | string {
  try {
    return decodeCheckpointPage(value);
  } catch (error) {
    if (error instanceof CodecError) return error.message;
    throw error;
  }
}

function problemIn({ geometry }: LogSource, page: CheckpointPage): string | undefined {
  if (page.kind === 'segments') {
    const isThere = page.rows.every(({ segment, end }) => hasPlace(geometry, segment, 0, end));
    return isThere ? undefined : 'it names a piece of log outside the device';
  }
  if (page.kind === 'counters') return undefined;
  const areThere = page.tables.every(({ meta: { segment, offset, sizeBytes } }) =>
    hasPlace(geometry, segment, offset, offset + sizeBytes),
  );
  return areThere
    ? undefined
    : 'the checkpoint contradicts itself: a table lies outside the device';
}
