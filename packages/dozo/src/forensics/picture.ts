/**
 * The timeline of holders as a picture (SVG): who held the device when, and where two overlapped. Pure.
 *
 * The first panel shows all that is remembered. An overlap of seconds is not seen in a history of
 * years, so the newest ones are shown again from near. The picture is bounded, whatever the history.
 */
import { PICTURE_CLOSE_UPS_MAX, PICTURE_LANES_MAX } from '../limits.ts';
import { chaptersOf } from './case-file.ts';
import type { CaseFile, Chapter } from './case-file.ts';
import { lastSignWallMs } from './holders.ts';
import type { HolderRow } from './holders.ts';
import type { Overlap } from './overlaps.ts';
import { drawPanel } from './picture-panel.ts';
import type { Panel, Span } from './picture-panel.ts';
import { BAR_HEIGHT, MARGIN, STYLE, WIDTH } from './picture-style.ts';
import { element, text } from './svg.ts';
import type { VerdictKind } from './verdict.ts';
import { claimName, plainTime, printableText } from './wording.ts';

const TITLE_HEIGHT = 64;
const VERDICT_LINE_HEIGHT = 20;
const VERDICT_CHARACTERS = 150;
const VERDICT_LINES_MAX = 8;
const PANEL_GAP = 22;
const LEGEND_HEIGHT = 58;
/** What a span that is a single moment is drawn with, on each side. */
const MOMENT_MS = 500;
/** A close-up shows so much more on each side, as a part of the overlap. */
const CLOSE_UP_MARGIN = 0.35;
/** An overlap that takes this part of the whole needs no close-up. */
const CLOSE_UP_SHARE_MAX = 0.3;

const COLOUR: Readonly<Record<VerdictKind, string>> = {
  'never-used': 'soft',
  'one-writer': 'live',
  overlap: 'alarm',
  'damage-possible': 'alarm',
};

const PICTURE_ID = 'dozo-forensics';

/** What every picture of ours begins with, and no other drawing. */
export const PICTURE_BEGINS = `<svg id="${PICTURE_ID}" `;

/** The whole picture, an SVG document. */
export function drawPicture(caseFile: CaseFile): string {
  const { verdict } = caseFile;
  const parts: string[] = [];
  let y = TITLE_HEIGHT;
  const lines = verdict.sentences.flatMap((sentence, index) =>
    wrap(printableText(sentence)).map((content) => ({ content, isFirst: index === 0 })),
  );
  for (const { content, isFirst } of lines.slice(0, VERDICT_LINES_MAX)) {
    const colour = isFirst ? COLOUR[verdict.kind] : 'ink';
    parts.push(text({ x: MARGIN, y: y + 14, class: `verdict ${colour}` }, content));
    y += VERDICT_LINE_HEIGHT;
  }
  y += PANEL_GAP;
  for (const panel of panelsOf(caseFile)) {
    const { svg, height } = drawPanel(panel, y);
    parts.push(svg);
    y += height + PANEL_GAP;
  }
  parts.push(drawLegend(y));
  const height = y + LEGEND_HEIGHT;
  const frame = { id: PICTURE_ID, xmlns: 'http://www.w3.org/2000/svg', width: WIDTH, height };
  const paper = element('rect', { x: 0, y: 0, width: WIDTH, height, class: 'paper' });
  return `${element(
    'svg',
    { ...frame, viewBox: `0 0 ${WIDTH} ${height}`, role: 'img' },
    `\n${[definitions(), paper, ...titleOf(caseFile), ...parts].join('\n')}\n`,
  )}\n`;
}

function definitions(): string {
  const pattern = { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse' };
  const back = element('rect', { width: 7, height: 7, class: 'hatchback' });
  const stroke = element('line', { x1: 0, y1: 0, x2: 0, y2: 7, class: 'hatch' });
  const hatch = element(
    'pattern',
    { ...pattern, patternTransform: 'rotate(45)' },
    `${back}${stroke}`,
  );
  return `<style>${STYLE}</style>\n${element('defs', {}, hatch)}`;
}

function titleOf({ evidence }: CaseFile): readonly string[] {
  const { path, device, readWallMs } = evidence;
  const what = device === undefined ? 'volume' : 'device';
  const shown = printableText(path);
  const short = shown.length > 90 ? `…${shown.slice(-89)}` : shown;
  return [
    text({ x: MARGIN, y: 36, class: 'title ink' }, `Who held the ${what} ${short}`),
    text(
      { x: MARGIN, y: 56, class: 'small soft' },
      `Read ${plainTime(readWallMs)} UTC. Times in UTC, each by the clock of the machine that wrote it.`,
    ),
  ];
}

function panelsOf(caseFile: CaseFile): readonly Panel[] {
  const { rows, overlaps } = caseFile;
  if (rows.length === 0) return [];
  const span = wholeSpan(rows);
  const chapters = chaptersOf(caseFile, PICTURE_LANES_MAX);
  const passedOverMs = new Map(overlaps.map(({ first, fromWallMs }) => [first, fromWallMs]));
  const closeUps = overlaps
    .map((overlap) => ({ overlap, near: spanOf(overlap) }))
    .filter(({ near }) => lengthOf(near) < CLOSE_UP_SHARE_MAX * lengthOf(span))
    .slice(-PICTURE_CLOSE_UPS_MAX)
    .map(({ overlap, near }) => ({ ...closeUp(overlap, near), passedOverMs }));
  return [{ heading: 'All that is remembered', chapters, span, passedOverMs }, ...closeUps];
}

function closeUp({ first, second }: Overlap, span: Span): Omit<Panel, 'passedOverMs'> {
  const chapters: Chapter[] = [first, second].map((row) => ({ kind: 'holder', row }));
  return {
    heading: `From near: ${claimName(first)} beside ${claimName(second)}`,
    chapters,
    span,
  };
}

function wholeSpan(rows: readonly HolderRow[]): Span {
  const fences = rows.flatMap(({ fence }) => (fence === undefined ? [] : [fence.wallMs]));
  const fromMs = rows.reduce((least, row) => Math.min(least, row.sinceWallMs), Infinity);
  const ends = [...rows.map(lastSignWallMs), ...fences];
  const toMs = ends.reduce((most, end) => Math.max(most, end), fromMs);
  return widened(fromMs, toMs, 0.02);
}

function spanOf(overlap: Overlap): Span {
  const { first, fromWallMs, toWallMs } = overlap;
  const times = [fromWallMs, toWallMs, ...(first.fence === undefined ? [] : [first.fence.wallMs])];
  return widened(Math.min(...times), Math.max(...times), CLOSE_UP_MARGIN);
}

function widened(fromMs: number, toMs: number, share: number): Span {
  const marginMs = Math.ceil((toMs - fromMs) * share);
  const byMs = toMs === fromMs ? MOMENT_MS : Math.max(1, marginMs);
  return { fromMs: fromMs - byMs, toMs: toMs + byMs };
}

function lengthOf({ fromMs, toMs }: Span): number {
  return toMs - fromMs;
}

function drawLegend(y: number): string {
  const middle = y + 14;
  const bar = middle - BAR_HEIGHT / 2;
  const rect = { y: bar, width: 26, height: BAR_HEIGHT };
  const items: readonly {
    readonly width: number;
    readonly label: string;
    readonly draw: (x: number) => string;
  }[] = [
    {
      width: 96,
      label: 'held it',
      draw: (x) => element('rect', { ...rect, x, rx: 3, class: 'held' }),
    },
    {
      width: 150,
      label: 'only wanted it',
      draw: (x) => element('rect', { ...rect, x, rx: 3, class: 'wish' }),
    },
    {
      width: 204,
      label: 'ran on after a takeover',
      draw: (x) => element('rect', { ...rect, x, fill: 'url(#hatch)', class: 'after' }),
    },
    {
      width: 96,
      label: 'fence',
      draw: (x) =>
        element('line', { x1: x + 13, y1: bar - 3, x2: x + 13, y2: bar + 19, class: 'fence' }) +
        element('path', { d: `M${x + 13} ${bar + 4} l-5 -7 h10 z`, class: 'fencefoot' }),
    },
    {
      width: 232,
      label: 'wrote past its fence, unseen',
      draw: (x) =>
        element('rect', { x: x + 3, y: middle - 4, width: 20, height: 3, class: 'late' }) +
        [x + 3, x + 23]
          .map((at) => element('path', { d: `M${at} ${middle - 4} l-5 8 h10 z`, class: 'late' }))
          .join(''),
    },
    {
      width: 136,
      label: 'failed flush',
      draw: (x) =>
        element('path', { d: `M${x + 7} ${middle - 6} l12 12 m0 -12 l-12 12`, class: 'failed' }),
    },
    {
      width: 110,
      label: 'runs now',
      draw: (x) => element('circle', { cx: x + 13, cy: middle, r: 5, class: 'live' }),
    },
  ];
  const parts: string[] = [];
  let x = MARGIN;
  for (const { width, label, draw } of items) {
    parts.push(draw(x), text({ x: x + 34, y: middle + 4, class: 'small soft' }, label));
    x += width;
  }
  return parts.join('\n');
}

function wrap(sentence: string): readonly string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of sentence.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > VERDICT_CHARACTERS) {
      lines.push(current);
      current = '';
    }
    current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, current];
}
