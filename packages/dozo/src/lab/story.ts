/**
 * The story that the lab tells while it works: headings, paragraphs, and who did what.
 *
 * No line is wider than `LINE_WIDTH_MAX`, however long process ids, counts and device names are. The one
 * exception is a single word, in practice a path, that is wider by itself: it stands alone on its line,
 * without an indent, so that it can be copied.
 */
import type { TextOutput } from '../command-context.ts';
import { LINE_WIDTH_MAX } from './limits.ts';
import { wrapText } from './table.ts';

const INDENT = '   ';
const NAME_WIDTH = 9;
const LABEL_GAP = 2;

export class Story {
  readonly #output: TextOutput | undefined;
  readonly #hasColours: boolean;

  /** Without an output nothing is told. */
  constructor(output: TextOutput | undefined, environment: NodeJS.ProcessEnv) {
    this.#output = output;
    this.#hasColours = output?.isTTY === true && (environment['NO_COLOR'] ?? '') === '';
  }

  /** Begins a chapter. */
  chapter(title: string): void {
    this.#writeBold(title);
  }

  /** A paragraph. */
  say(text: string): void {
    this.#writeWrapped('', text, INDENT);
  }

  /** What somebody or something did: `daemon A  starts as process 4711`. */
  tell(who: string, text: string): void {
    const indent = INDENT + ' '.repeat(NAME_WIDTH + LABEL_GAP);
    this.#writeWrapped(who === '' ? '' : INDENT + who, text, indent);
  }

  /** Text that is laid out already, such as a table. */
  show(text: string): void {
    this.#output?.write(`\n${text}`);
  }

  /** The last line. */
  verdict(text: string): void {
    this.#writeBold(text);
  }

  #writeBold(text: string): void {
    const lines = wrapText(text, LINE_WIDTH_MAX).map((line) => this.#bold(line));
    this.#output?.write(`\n${lines.join('\n')}\n`);
  }

  /** The label stands in the indent of the first line, or above it where there is no room for it. */
  #writeWrapped(label: string, text: string, indent: string): void {
    const width = LINE_WIDTH_MAX - indent.length;
    // A word that is too long takes as much of the indent as it needs.
    const lines = wrapText(text, width).map((line) =>
      line.length <= width ? indent + line : line.padStart(LINE_WIDTH_MAX),
    );
    const first = lines[0] ?? '';
    const hasRoom = label === '' || first.startsWith(' '.repeat(label.length + LABEL_GAP));
    if (hasRoom) lines[0] = label + first.slice(label.length);
    else lines.unshift(label);
    this.#output?.write(lines.map((line) => `${line.trimEnd()}\n`).join(''));
  }

  #bold(text: string): string {
    return this.#hasColours ? `\x1b[1m${text}\x1b[0m` : text;
  }
}
