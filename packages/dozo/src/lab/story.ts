/** The story that the lab tells while it works: headings, paragraphs, and who did what. */
import type { TextOutput } from '../command-context.ts';
import { LINE_WIDTH_MAX } from './limits.ts';
import { wrapText } from './table.ts';

const INDENT = '   ';
const NAME_WIDTH = 9;

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
    this.#output?.write(`\n${this.#bold(title)}\n`);
  }

  /** A paragraph. */
  say(text: string): void {
    this.#writeWrapped(text, INDENT, INDENT);
  }

  /** What somebody or something did: `daemon A  starts as process 4711`. */
  tell(who: string, text: string): void {
    const rest = INDENT + ' '.repeat(NAME_WIDTH + 2);
    this.#writeWrapped(text, `${INDENT}${who.padEnd(NAME_WIDTH)}  `, rest);
  }

  /** Text that is laid out already, such as a table. */
  show(text: string): void {
    this.#output?.write(`\n${text}`);
  }

  /** The last line. */
  verdict(text: string): void {
    const lines = wrapText(text, LINE_WIDTH_MAX).map((line) => this.#bold(line));
    this.#output?.write(`\n${lines.join('\n')}\n`);
  }

  #writeWrapped(text: string, first: string, rest: string): void {
    const lines = wrapText(text, LINE_WIDTH_MAX - rest.length);
    this.#output?.write(
      lines.map((line, index) => `${index === 0 ? first : rest}${line}\n`).join(''),
    );
  }

  #bold(text: string): string {
    return this.#hasColours ? `\x1b[1m${text}\x1b[0m` : text;
  }
}
