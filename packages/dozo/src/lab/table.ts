/** Text for people: lines that are not too long, and a table whose cells wrap. */

/**
 * Breaks text at spaces into lines of at most `width` characters; its own line ends stay. A word that is
 * longer, such as a path, stays whole and gets a line of its own: it is the only longer line there is.
 */
export function wrapText(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line.trim(), width));
}

function wrapLine(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** One column: its head, and how many characters wide it is. */
export interface Column {
  readonly head: string;
  readonly width: number;
}

const GAP = '  ';

/** A table with a rule under its head and under each row. Cells that are missing are empty. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const rule = columns.map(({ width }) => '-'.repeat(width)).join(GAP);
  const body = [columns.map(({ head }) => head), ...rows].map((cells) => renderRow(columns, cells));
  return `${rule}\n${body.map((row) => `${row}\n${rule}\n`).join('')}`;
}

function renderRow(columns: readonly Column[], cells: readonly string[]): string {
  const wrapped = columns.map(({ width }, index) => cellLines(cells[index] ?? '', width));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  const lines = Array.from({ length: height }, (_, row) =>
    columns
      .map(({ width }, index) => (wrapped[index]?.[row] ?? '').padEnd(width))
      .join(GAP)
      .trimEnd(),
  );
  return lines.join('\n');
}

/** A column keeps its width whatever comes: a word that is longer is cut. */
function cellLines(text: string, width: number): string[] {
  return wrapText(text, width).flatMap((line) =>
    Array.from({ length: Math.max(1, Math.ceil(line.length / width)) }, (_, index) =>
      line.slice(index * width, (index + 1) * width),
    ),
  );
}
