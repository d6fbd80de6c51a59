/** Everything that forensics has found out, in the form that report and picture are made from. */
import type { Evidence } from './evidence.ts';
import { holderRows } from './holders.ts';
import type { HolderRow } from './holders.ts';
import { findOverlaps } from './overlaps.ts';
import type { Overlap } from './overlaps.ts';
import { judge } from './verdict.ts';
import type { Verdict } from './verdict.ts';

export interface CaseFile {
  readonly evidence: Evidence;
  /** Oldest claim first. */
  readonly rows: readonly HolderRow[];
  readonly overlaps: readonly Overlap[];
  readonly verdict: Verdict;
}

/** A part of a long history: one holder, or a run of them of which there is nothing to tell. */
export type Chapter =
  | { readonly kind: 'holder'; readonly row: HolderRow }
  | { readonly kind: 'run'; readonly rows: readonly HolderRow[] };

/** Works the evidence out. Pure. */
export function openCase(evidence: Evidence): CaseFile {
  const rows = holderRows(evidence);
  const overlaps = findOverlaps(rows, evidence);
  return { evidence, rows, overlaps, verdict: judge(rows, overlaps, evidence) };
}

/**
 * The rows in at most about `countMax` chapters, oldest first. Those of overlaps, with a failure, or not
 * proved dead stay alone as long as there is room; so do the newest. The rest is drawn together in runs.
 */
export function chaptersOf({ rows, overlaps }: CaseFile, countMax: number): readonly Chapter[] {
  if (rows.length <= countMax) return rows.map((row) => ({ kind: 'holder', row }));
  const told = new Set(overlaps.flatMap(({ first, second }) => [first, second]));
  const weight = (row: HolderRow): number => {
    if (told.has(row)) return 3;
    if (row.failedFlush !== undefined || row.end.kind === 'unproven' || row.isMoving) return 2;
    return (row.late?.groupCount ?? 0) > 0 ? 2 : 1;
  };
  // Each row that stays alone can split a run in two.
  const aloneMax = Math.max(1, Math.floor(countMax / 2));
  const alone = new Set(
    rows
      .map((row, index) => ({ row, index }))
      .sort((left, right) => weight(right.row) - weight(left.row) || right.index - left.index)
      .slice(0, aloneMax)
      .map(({ row }) => row),
  );
  const chapters: Chapter[] = [];
  let run: HolderRow[] = [];
  const endRun = (): void => {
    const [only] = run;
    if (run.length === 1 && only !== undefined) chapters.push({ kind: 'holder', row: only });
    else if (run.length > 1) chapters.push({ kind: 'run', rows: run });
    run = [];
  };
  for (const row of rows) {
    if (!alone.has(row)) {
      run.push(row);
      continue;
    }
    endRun();
    chapters.push({ kind: 'holder', row });
  }
  endRun();
  return chapters;
}
