/**
 * The standard streams belong to the program; the guard and its helpers share them with it.
 *
 * Whoever asks for `process.stdout` or `process.stderr` has Node make the pipe behind it non-blocking,
 * for every process that shares it: the program then loses output (EAGAIN) as soon as its reader is slow.
 * Our own lines go past them (`say.ts`), but parts of Node and of libraries ask too, for colours; one
 * `import` of `node:util` is enough, because Node then evaluates all exports of that module.
 */

/** From now on nobody in this process gets at the streams. Before anything else is loaded or started. */
export function leaveStreamsToProgram(): void {
  for (const name of ['stdout', 'stderr']) {
    Object.defineProperty(process, name, { configurable: true, value: undefined });
  }
}
