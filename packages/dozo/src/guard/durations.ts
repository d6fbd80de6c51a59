/** Durations as people write them: `500ms`, `5s`, `2m`. */

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
]);

/** Parses one; `undefined` for what is none, or is no whole positive number of ms. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(text);
  const unitMs = UNITS_MS.get(match?.[2] ?? '');
  if (match === null || unitMs === undefined) return undefined;
  const durationMs = Number(match[1]) * unitMs;
  return Number.isInteger(durationMs) && durationMs > 0 ? durationMs : undefined;
}

/** The shortest exact form of a whole number of ms. */
export function formatDuration(durationMs: number): string {
  if (durationMs % 60_000 === 0) return `${durationMs / 60_000}m`;
  return durationMs >= 1_000 ? `${durationMs / 1_000}s` : `${durationMs}ms`;
}
