/** The lines of `dozo status` that tell what the engine is made of and what it has done. */
import type { LatencyStats, LevelStats, TreeStats } from '@dozo/engine';

import type { EngineStatus } from '../composition/daemon-status.ts';
import { formatSize } from '../sizes.ts';

/** Index, memory, bytes written, and how long commits took. */
export function workLines(engine: EngineStatus): readonly string[] {
  const { tree, commitLatency, bytesAccepted, bytesWritten, writeAmplification } = engine;
  const { bytesMoved, checkpointCount, reclaimDebtBytes } = engine;
  const lines: string[] = [];
  if (tree !== undefined)
    lines.push(`  index         ${levelsText(tree.levels)}`, memoryLine(tree));
  lines.push(
    `  written       ${formatSize(bytesWritten)} for ${formatSize(bytesAccepted)} accepted: ` +
      `${writeAmplification.toFixed(1)} times; ${formatSize(bytesMoved)} moved; ${checkpointCount} checkpoints`,
  );
  if (tree !== undefined) lines.push(...tableLines(tree));
  lines.push(`  reclaim       ${formatSize(reclaimDebtBytes)} dead`);
  const latencyText = commitLatency === undefined ? undefined : commitsText(commitLatency);
  if (latencyText !== undefined) lines.push(`  commits       ${latencyText}`);
  return lines;
}

function levelsText(levels: readonly LevelStats[]): string {
  const parts = levels.flatMap(({ runCount, tableCount, sizeBytes }, level) => {
    if (tableCount === 0) return [];
    const tables = `${tableCount} ${tableCount === 1 ? 'table' : 'tables'}`;
    const runs = runCount > 1 ? ` of ${runCount} runs` : '';
    return [`level ${level}: ${formatSize(sizeBytes)} in ${tables}${runs}`];
  });
  return parts.length === 0 ? 'nothing in tables yet' : parts.join('; ');
}

function memoryLine({ memtableBytes, memtableBytesMax, cache }: TreeStats): string {
  const askedCount = cache.hitCount + cache.missCount;
  const found =
    askedCount === 0
      ? ''
      : `, ${((100 * cache.hitCount) / askedCount).toFixed(1)} % of ${askedCount} found there`;
  return (
    `  in memory     ${formatSize(memtableBytes)} of ${formatSize(memtableBytesMax)} not flushed; ` +
    `cache ${formatSize(cache.sizeBytes)} of ${formatSize(cache.limitBytes)}${found}`
  );
}

function tableLines(tree: TreeStats): string[] {
  const { flushes, compactions, compactionDebtBytes, damagedTableCount, stepMsMax } = tree;
  const { count, bytesIn, bytesOut } = compactions;
  const lines = [
    `  flushes       ${flushes.count}: ${formatSize(flushes.bytesIn)} into tables of ` +
      `${formatSize(flushes.bytesOut)}${tookText(flushes.latency)}`,
    `  compactions   ${count}: ${formatSize(bytesIn)} into ${formatSize(bytesOut)}${tookText(compactions.latency)}; ` +
      `${formatSize(Math.round(compactionDebtBytes))} to be written; longest step ${stepMsMax.toFixed(1)} ms`,
  ];
  if (damagedTableCount > 0) {
    const tables = damagedTableCount === 1 ? '1 table' : `${damagedTableCount} tables`;
    lines.push(
      `  DAMAGED       ${tables} of the index; stop the daemon, then \`dozo device check --repair\``,
    );
  }
  return lines;
}

/** How long work in the background took; nothing where there was none. */
function tookText(latency: LatencyStats): string {
  const count = countOf(latency);
  if (count === 0) return '';
  return `, half within ${boundText(latency, count / 2)}, longest ${msText(latency.maxMs)}`;
}

function commitsText(latency: LatencyStats): string | undefined {
  const count = countOf(latency);
  if (count === 0) return undefined;
  return (
    `${count}: half within ${boundText(latency, count / 2)}, ` +
    `99 % within ${boundText(latency, count * 0.99)}, longest ${msText(latency.maxMs)}`
  );
}

function countOf({ counts }: LatencyStats): number {
  return counts.reduce((sum, inBucket) => sum + inBucket, 0);
}

/** The bound that so many of them did not pass. */
function boundText({ boundsMs, counts, maxMs }: LatencyStats, wantedCount: number): string {
  let count = 0;
  for (const [bucket, boundMs] of boundsMs.entries()) {
    count += counts[bucket] ?? 0;
    if (count >= wantedCount) return msText(Math.min(boundMs, maxMs));
  }
  return msText(maxMs);
}

function msText(ms: number): string {
  return `${Number.isInteger(ms) ? ms : ms.toFixed(1)} ms`;
}
