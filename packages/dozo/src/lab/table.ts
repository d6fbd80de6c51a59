/** Text for people: lines that are not too long, and a table whose cells wrap. */

/** Breaks text at spaces into lines of at most `width` characters; a longer word gets its own line. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
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
  const wrapped = columns.map(({ width }, index) => wrapText(cells[index] ?? '', width));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  const lines = Array.from({ length: height }, (_, row) =>
    columns
      .map(({ width }, index) => (wrapped[index]?.[row] ?? '').padEnd(width))
      .join(GAP)
      .trimEnd(),
  );
  return lines.join('\n');
}
