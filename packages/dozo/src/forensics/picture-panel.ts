/**
 * One panel of the picture: lanes of holders over one span of time. Pure.
 *
 *     claim 7 · process 12          |=========|//////////|      a bar from the claim to the fence, hatched
 *     host a, pod osd-0             held       fenced  ^^       from there to the last sign of life; marks
 *                                                               for fences, late writes, failed flushes
 *
 * Every time of a lane is that of its own machine's clock. A bar that is too short to see gets a width
 * that can be seen; what lies outside of the span is cut off at its edge.
 */
import type { Chapter } from './case-file.ts';
import { lastSignWallMs } from './holders.ts';
import type { HolderRow } from './holders.ts';
import {
  BAR_HEIGHT,
  BAR_TOP,
  BAR_WIDTH_MIN,
  LANE_HEIGHT,
  MARGIN,
  NAME_CHARACTER_WIDTH,
  RUN_LANE_HEIGHT,
  SMALL_CHARACTER_WIDTH,
  TICKS_MAX,
  TIME_LEFT,
  TIME_RIGHT,
  WIDTH,
} from './picture-style.ts';
import { element, rounded, text, tooltip } from './svg.ts';
import { timeTicks } from './time-axis.ts';
import { endInWords, isoTime, lateAmount, plural, printableText, whoIs } from './wording.ts';

/** A span of wall time in ms; `toMs` is later. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a panel shows. */
export interface Panel {
  readonly heading: string;
  readonly chapters: readonly Chapter[];
  readonly span: Span;
  /** Since when those were not alone who ran on after others had taken over. */
  readonly passedOverMs: ReadonlyMap<HolderRow, number>;
}

const HEADING_HEIGHT = 26;
const AXIS_HEIGHT = 44;

/** Draws a panel with its upper edge at `top`. @returns the SVG and the height that it takes. */
export function drawPanel(
  panel: Panel,
  top: number,
): { readonly svg: string; readonly height: number } {
  const { heading, chapters, span } = panel;
  const lanesTop = top + HEADING_HEIGHT;
  const parts = [text({ x: MARGIN, y: top + 14, class: 'heading ink' }, heading)];
  const lanes: string[] = [];
  let y = lanesTop;
  for (const [index, chapter] of chapters.entries()) {
    const height = laneHeight(chapter);
    if (index % 2 === 0) {
      const band = { x: MARGIN - 12, y, width: WIDTH - 2 * MARGIN + 24, height, class: 'band' };
      parts.push(element('rect', band));
    }
    lanes.push(drawLane(chapter, panel, y));
    y += height;
  }
  parts.push(drawAxis(span, lanesTop, y), ...lanes);
  return { svg: parts.join('\n'), height: y + AXIS_HEIGHT - top };
}

function laneHeight({ kind }: Chapter): number {
  return kind === 'holder' ? LANE_HEIGHT : RUN_LANE_HEIGHT;
}

function drawLane(chapter: Chapter, panel: Panel, y: number): string {
  return chapter.kind === 'holder'
    ? drawHolder(chapter.row, panel, y)
    : drawRun(chapter.rows, panel.span, y);
}

function drawAxis(span: Span, top: number, bottom: number): string {
  const parts = [line(TIME_LEFT, bottom, TIME_RIGHT, bottom, 'rule')];
  for (const { wallMs, label, context } of timeTicks(span.fromMs, span.toMs, TICKS_MAX)) {
    const x = xOf(wallMs, span);
    parts.push(line(x, top, x, bottom + 5, 'rule'));
    const at = { x, 'text-anchor': 'middle', class: 'small soft' };
    parts.push(text({ ...at, y: bottom + 19 }, label));
    if (context !== '') parts.push(text({ ...at, y: bottom + 33 }, context));
  }
  return parts.join('\n');
}

function drawHolder(row: HolderRow, { span, passedOverMs }: Panel, y: number): string {
  const bar = y + BAR_TOP;
  const endMs = lastSignWallMs(row);
  const fencedMs = fencedFromMs(row, passedOverMs.get(row), endMs);
  const parts = [tooltip(`${whoIs(row.holder)}: ${isoTime(row.sinceWallMs)} to ${isoTime(endMs)}`)];
  parts.push(...drawName(row, y));
  const [start, end] = edges(row.sinceWallMs, fencedMs ?? endMs, span);
  parts.push(box(start, end, bar, row.hasHeld ? 'held' : 'wish'));
  let right = end;
  if (fencedMs !== undefined && isInside(fencedMs, endMs, span)) {
    const [from, to] = edges(fencedMs, endMs, span);
    parts.push(hatched(from, to, bar));
    right = Math.max(right, to);
  }
  parts.push(...drawMarks(row, span, bar));
  if (row.isMoving) {
    const [cx, cy] = [right + 8, bar + BAR_HEIGHT / 2];
    parts.push(element('circle', { cx, cy, r: 5, class: 'live' }));
  }
  parts.push(...drawEnd(row, start, right, y + BAR_TOP + BAR_HEIGHT + 16));
  return element('g', {}, parts.join('\n'));
}

function drawName(row: HolderRow, y: number): readonly string[] {
  const { identity, holder } = row;
  const width = TIME_LEFT - MARGIN - 16;
  const fit = (content: string, characterWidth: number): string =>
    cut(printableText(content), Math.floor(width / characterWidth));
  const name = `claim ${identity.incarnation} · process ${holder.processId}`;
  const own = holder.name === undefined ? '' : `${holder.name}, `;
  const pod = holder.podName === undefined ? '' : `, pod ${holder.podName}`;
  return [
    text({ x: MARGIN, y: y + 22, class: 'name ink' }, fit(name, NAME_CHARACTER_WIDTH)),
    text(
      { x: MARGIN, y: y + 40, class: 'small soft' },
      fit(`${own}host ${holder.host}${pod}`, SMALL_CHARACTER_WIDTH),
    ),
  ];
}

/** Fence, late writes and failed flush, as far as they are inside of the span. */
function drawMarks(row: HolderRow, span: Span, bar: number): readonly string[] {
  const parts: string[] = [];
  const { fence, late, failedFlush } = row;
  if (fence !== undefined && isInside(fence.wallMs, fence.wallMs, span)) {
    const x = xOf(fence.wallMs, span);
    parts.push(line(x, bar - 7, x, bar + BAR_HEIGHT + 4, 'fence'));
    parts.push(
      element('path', { d: `M${rounded(x)} ${bar - 1} l-5 -7 h10 z`, class: 'fencefoot' }),
    );
  }
  if (late !== undefined && late.groupCount > 0) {
    parts.push(...drawLate({ fromMs: late.firstWallMs, toMs: late.lastWallMs }, span, bar));
  }
  if (failedFlush !== undefined && isInside(failedFlush.wallMs, failedFlush.wallMs, span)) {
    const [x, middle] = [xOf(failedFlush.wallMs, span), bar + BAR_HEIGHT / 2];
    const d = `M${rounded(x - 6)} ${rounded(middle - 6)} l12 12 m0 -12 l-12 12`;
    parts.push(element('path', { d, class: 'failed' }));
  }
  return parts;
}

/** When the first and the last group past the fence were written: a thin bar with an arrow at each end. */
function drawLate(late: Span, span: Span, bar: number): readonly string[] {
  if (!isInside(late.fromMs, late.toMs, span)) return [];
  const [from, to] = edges(late.fromMs, late.toMs, span);
  const y = bar + BAR_HEIGHT + 2;
  return [
    element('rect', { x: from, y, width: to - from, height: 3, class: 'late' }),
    ...[from, to].map((x) =>
      element('path', { d: `M${rounded(x)} ${y} l-5 8 h10 z`, class: 'late' }),
    ),
  ];
}

/** What became of it, in words under its bar, or left of where the bar ends when there is no room. */
function drawEnd(row: HolderRow, start: number, right: number, y: number): readonly string[] {
  const { late } = row;
  const past =
    late === undefined || late.groupCount === 0 ? '' : `; past its fence: ${lateAmount(late)}`;
  const words = `${endInWords(row)}${past}`;
  const width = words.length * SMALL_CHARACTER_WIDTH;
  const isAlarm = row.end.kind === 'unproven' || past !== '';
  const kind = `small ${isAlarm ? 'alarm' : 'soft'}`;
  const hasMarks = past !== '';
  const x = start + (hasMarks ? 8 : 0);
  if (x + width <= TIME_RIGHT) return [text({ x, y: y + (hasMarks ? 4 : 0), class: kind }, words)];
  const anchor = Math.max(
    Math.min(right, TIME_RIGHT),
    TIME_LEFT + Math.min(width, TIME_RIGHT - TIME_LEFT),
  );
  return [
    text(
      { x: anchor, y: y + (hasMarks ? 4 : 0), 'text-anchor': 'end', class: kind },
      cut(words, Math.floor((TIME_RIGHT - TIME_LEFT) / SMALL_CHARACTER_WIDTH)),
    ),
  ];
}

/** A run of holders in one lane; bars that touch are drawn as one. */
function drawRun(rows: readonly HolderRow[], span: Span, y: number): string {
  const bar = y + BAR_TOP;
  const [first, last] = [rows[0], rows.at(-1)];
  const range =
    first === undefined || last === undefined
      ? ''
      : `claims ${first.identity.incarnation} to ${last.identity.incarnation}`;
  const count = `${rows.length} ${plural('holder', rows.length)}, one at a time`;
  const parts = [
    tooltip(`${range}: ${count}`),
    text({ x: MARGIN, y: y + 15, class: 'name soft' }, range),
    text({ x: MARGIN, y: y + 29, class: 'small soft' }, count),
  ];
  for (const [from, to] of merged(
    rows.map((row) => edges(row.sinceWallMs, lastSignWallMs(row), span)),
  )) {
    parts.push(box(from, to, bar, 'held'));
  }
  return element('g', {}, parts.join('\n'));
}

/** Ranges in any order; those closer than a pixel become one. So there are never more than pixels. */
function merged(
  ranges: readonly (readonly [number, number])[],
): readonly (readonly [number, number])[] {
  const sorted = [...ranges].sort((left, right) => left[0] - right[0]);
  const result: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** Since when a holder was fenced; undefined when it ended before, or clocks do not show it. */
function fencedFromMs(
  { fence, sinceWallMs }: HolderRow,
  passedOverMs: number | undefined,
  endMs: number,
): number | undefined {
  const fencedMs = fence?.wallMs ?? passedOverMs;
  if (fencedMs === undefined || fencedMs >= endMs) return undefined;
  return Math.max(fencedMs, sinceWallMs);
}

function box(from: number, to: number, y: number, kind: string): string {
  const size = { x: from, y, width: to - from, height: BAR_HEIGHT, rx: 3 };
  return element('rect', { ...size, class: kind });
}

function hatched(from: number, to: number, y: number): string {
  const size = { x: from, y, width: to - from, height: BAR_HEIGHT };
  return element('rect', { ...size, fill: 'url(#hatch)', class: 'after' });
}

/** The edges of a bar: inside of the picture, and wide enough to be seen. */
function edges(fromMs: number, toMs: number, span: Span): readonly [number, number] {
  const from = Math.min(xOf(fromMs, span), TIME_RIGHT - BAR_WIDTH_MIN);
  return [from, Math.max(xOf(toMs, span), from + BAR_WIDTH_MIN)];
}

function xOf(wallMs: number, { fromMs, toMs }: Span): number {
  const share = (wallMs - fromMs) / (toMs - fromMs);
  return TIME_LEFT + Math.min(1, Math.max(0, share)) * (TIME_RIGHT - TIME_LEFT);
}

function isInside(fromMs: number, toMs: number, span: Span): boolean {
  return fromMs <= span.toMs && toMs >= span.fromMs;
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return element('line', { x1, y1, x2, y2, class: kind });
}

function cut(content: string, lengthMax: number): string {
  return content.length <= lengthMax ? content : `${content.slice(0, lengthMax - 1)}…`;
}
