/** Finding a program as a shell does. Source: POSIX, "Command Search and Execution"; execvp(3). */
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where it is, or the status that a shell ends with: 127 not found, 126 found and not executable. */
export type FoundCommand =
  | { readonly kind: 'found'; readonly path: string }
  | { readonly kind: 'refused'; readonly status: 126 | 127; readonly reason: string };

const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Finds `command`; a name with a slash is a path. */
export function findCommand(command: string, searchPath: string | undefined): FoundCommand {
  if (command.includes('/')) {
    const failure = whyNotExecutable(command);
    return failure === undefined ? { kind: 'found', path: command } : refusal(command, failure);
  }
  let seen: string | undefined;
  for (const directory of (searchPath ?? DEFAULT_PATH).split(':')) {
    // An empty part means the current directory.
    const path = join(directory === '' ? '.' : directory, command);
    const failure = whyNotExecutable(path);
    if (failure === undefined)
      return { kind: 'found', path: path.includes('/') ? path : `./${path}` };
    if (failure !== 'ENOENT' && failure !== 'ENOTDIR') seen ??= path;
  }
  if (seen !== undefined) return refusal(seen, 'EACCES');
  const where = `none of the directories of PATH has it (${searchPath ?? DEFAULT_PATH})`;
  return { kind: 'refused', status: 127, reason: `${command}: ${where}` };
}

/** What the kernel's refusal to run a program means. */
export function refusal(path: string, failure: string): FoundCommand {
  if (failure === 'ENOENT' || failure === 'ENOTDIR') {
    const reason = `${path}: nothing is there, or the interpreter that it names is missing`;
    return { kind: 'refused', status: 127, reason };
  }
  return { kind: 'refused', status: 126, reason: `${path}: ${REASONS.get(failure) ?? failure}` };
}

const REASONS: ReadonlyMap<string, string> = new Map([
  [
    'EACCES',
    'it may not be executed (EACCES): see its mode, and whether it is a directory or lies on a noexec file system',
  ],
  ['ENOEXEC', 'it is not a program of this machine (ENOEXEC)'],
  ['E2BIG', 'arguments and environment are too long (E2BIG)'],
  ['ETXTBSY', 'somebody is writing to it (ETXTBSY)'],
]);

function whyNotExecutable(path: string): string | undefined {
  try {
    if (!statSync(path).isFile()) return 'EACCES';
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EACCES';
  }
}
