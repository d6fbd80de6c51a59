/**
 * Where the guard as a single file begins: makes sure that it can run here, and says in one line why
 * not. `tools/build-guard.ts` builds the file from this module.
 */
import { existsSync } from 'node:fs';

import { EXIT_BUG, EXIT_MACHINE_REFUSED } from '../exit-codes.ts';
import { main } from '../guard/main.ts';
import { say } from '../guard/say.ts';
import { loadKoffi } from './koffi.ts';

async function start(): Promise<void> {
  try {
    if (!existsSync('/proc/self/fd')) {
      throw new Error('there is no /proc here, by which processes are found. Mount it');
    }
    loadKoffi();
  } catch (error) {
    say(`cannot run here: ${(error as Error).message}.`);
    process.exit(EXIT_MACHINE_REFUSED);
  }
  await main(process.argv.slice(2));
}

start().catch((error: unknown) => {
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  say(`this is a bug in dozo, please report it:\n${trace}`);
  process.exit(EXIT_BUG);
});
