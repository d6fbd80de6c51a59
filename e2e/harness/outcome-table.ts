/** Reads a table of expected outcomes from a page of the documentation, so that page and test are one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export interface OutcomeTable {
  /** What stands in the first column, in order. */
  readonly rows: readonly string[];
  /** Heads of the other columns, in order. */
  readonly columns: readonly string[];
  /** The outcome that the page names; throws where there is none. */
  cell(row: string, column: string): string;
}

/** The first table below the heading `heading` of a page; `page` is a path in this repository. */
export function readOutcomeTable(page: string, heading: string): OutcomeTable {
  const lines = readFileSync(join(root, page), 'utf8').split('\n');
  const headingAt = lines.findIndex((line) => /^#+ /.test(line) && line.endsWith(` ${heading}`));
  if (headingAt < 0) throw new Error(`${page} has no heading "${heading}".`);
  const from = lines.findIndex((line, at) => at > headingAt && line.startsWith('|'));
  const end = lines.findIndex((line, at) => at > from && !line.startsWith('|'));
  const [head = [], , ...body] = lines.slice(from, end).map(cellsOf);
  const columns = head.slice(1);
  const cells = new Map(body.map(([row = '', ...outcomes]) => [row, outcomes] as const));
  return {
    rows: [...cells.keys()],
    columns,
    cell(row, column) {
      const outcome = cells.get(row)?.[columns.indexOf(column)];
      if (outcome === undefined) throw new Error(`${page} does not tell "${row}", "${column}".`);
      return outcome;
    },
  };
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}
