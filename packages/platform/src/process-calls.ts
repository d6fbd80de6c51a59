/**
 * The calls about processes that Node does not offer, for who runs another program and must be sure
 * that it and all that it started are gone: `dozo guard`.
 *
 * Node itself waits for the children that it has started. Those are never reaped here: whoever takes the
 * end of such a child away from Node leaves it waiting for ever. The parent of this process is
 * `process.ppid`, which asks the kernel each time.
 *
 * Source: prctl(2), waitid(2), waitpid(2), fcntl(2), execve(2), signal(2); `linux/prctl.h`, `bits/waitflags.h`.
 */
import type koffi from 'koffi';

import { bindForeign, importKoffi } from './foreign.ts';
import type { ImportForeign } from './foreign.ts';
import type { KernelOutcome } from './kernel.ts';

// Not by `import`: for that Node evaluates all exports of the module, and one of them touches
// `process.stderr`, which makes a pipe behind it non-blocking for every process that shares it.
const { getSystemErrorName } = process.getBuiltinModule('node:util');

/** How a process ended: with an exit status, or by the signal of this number. */
export type ProcessEnd =
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'signal'; readonly signal: number };

/** A child that has ended and was not reaped yet. */
export interface EndedChild {
  readonly processId: number;
  readonly end: ProcessEnd;
}

/** The calls. Each outcome is `undefined`, or the kernel's name of the error. */
export interface ProcessCalls {
  /**
   * Has the kernel send `signal` (its number; 0: none) to this process when its parent ends, also by
   * SIGKILL. It survives `execve`, not `fork`. A parent that has ended before is not noticed: compare
   * `process.ppid` afterwards with what it was.
   *
   * What counts is the thread that started this process. Node starts children on its main thread.
   */
  sendOnParentDeath(signal: number): KernelOutcome;
  /**
   * Makes this process the parent of its descendants whose own parent ends, instead of pid 1. It is
   * their duty then to be reaped: {@link ProcessCalls.peekEnded} and {@link ProcessCalls.reap}.
   */
  becomeSubreaper(): KernelOutcome;
  /**
   * A child that has ended, without reaping it: the same one until somebody does. Undefined when there
   * is none.
   */
  peekEnded(): EndedChild | undefined;
  /**
   * Reaps a child that has ended, one that Node has *not* started. Undefined when it still runs or is
   * no child of ours.
   */
  reap(processId: number): ProcessEnd | undefined;
  /**
   * Lets a descriptor live through `execve`. Node marks all that it inherits to be closed then, also
   * one that was passed on purpose.
   */
  keepAcrossExec(descriptor: number): KernelOutcome;
  /**
   * Whether this process has any child at all, also one that has ended and was not reaped. Of a
   * subreaper: whether it has any descendant, because orphans become its children at once.
   */
  hasChild(): boolean;
  /** Gives a signal (its number) its default meaning; one that is ignored stays so across `execve`. */
  restoreSignal(signal: number): void;
  /**
   * A second descriptor of the same open file, the first free one from `lowest` on, that lives through
   * `execve`; or the kernel's name of the error.
   */
  duplicateDescriptor(descriptor: number, lowest: number): number | string;
  /**
   * Becomes another program: `execve`. Returns only when that failed, with the kernel's name of the
   * error. (`process.execve` aborts the process then.) What `args` begins with is the program's name
   * for itself; `environment` has entries `NAME=value`.
   */
  execute(path: string, args: readonly string[], environment: readonly string[]): string;
}

const PR_SET_PDEATHSIG = 1;
const PR_SET_CHILD_SUBREAPER = 36;
const F_DUPFD = 0;
const F_SETFD = 2;
const SIG_DFL = 0;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const CLD_EXITED = 1;
/** `siginfo_t` has 128 bytes on 64-bit machines; where in it, in words of 4 bytes. */
const SIGNAL_INFO_WORDS = 32;
const CODE_WORD = 2;
const PID_WORD = 4;
const STATUS_WORD = 6;

let loaded: ProcessCalls | undefined;

/**
 * The calls of this machine. Rejects with `KERNEL_CALLS_UNAVAILABLE`.
 *
 * @param importForeign for tests: where koffi comes from.
 */
export async function loadProcessCalls(
  importForeign: ImportForeign = importKoffi,
): Promise<ProcessCalls> {
  if (loaded !== undefined && importForeign === importKoffi) return loaded;
  loaded = await bindForeign(importForeign, 'no program can be guarded', bindProcessCalls);
  return loaded;
}

type NativeCall = (...parameters: unknown[]) => number;

function bindProcessCalls(foreign: typeof koffi): ProcessCalls {
  const library = foreign.load(null);
  const prctl = library.func(
    'int prctl(int option, unsigned long two, unsigned long three, unsigned long four, unsigned long five)',
  ) as NativeCall;
  const waitid = library.func(
    'int waitid(int kind, int id, void *information, int options)',
  ) as NativeCall;
  const waitpid = library.func('int waitpid(int pid, void *status, int options)') as NativeCall;
  const fcntl = library.func('int fcntl(int descriptor, int command, int value)') as NativeCall;
  const signalCall = library.func('intptr_t signal(int number, intptr_t handler)') as NativeCall;
  const execve = library.func(
    'int execve(const char *path, const char **args, const char **environment)',
  ) as NativeCall;
  const errorName = (): string => getSystemErrorName(-foreign.errno());
  const outcome = (result: number): KernelOutcome => (result === 0 ? undefined : errorName());

  return {
    sendOnParentDeath: (signal) => outcome(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)),
    becomeSubreaper: () => outcome(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)),
    peekEnded: () => {
      // Zeroed: the kernel leaves the pid alone when nothing has ended.
      const information = new Int32Array(SIGNAL_INFO_WORDS);
      if (waitid(P_ALL, 0, information, WEXITED | WNOHANG | WNOWAIT) !== 0) return undefined;
      const processId = information[PID_WORD] ?? 0;
      if (processId === 0) return undefined;
      const status = information[STATUS_WORD] ?? 0;
      const isExit = information[CODE_WORD] === CLD_EXITED;
      return {
        processId,
        end: isExit ? { kind: 'exit', status } : { kind: 'signal', signal: status },
      };
    },
    reap: (processId) => {
      const statusWord = new Int32Array(1);
      if (waitpid(processId, statusWord, WNOHANG) !== processId) return undefined;
      const word = statusWord[0] ?? 0;
      const signal = word & 0x7f;
      return signal === 0
        ? { kind: 'exit', status: (word >> 8) & 0xff }
        : { kind: 'signal', signal };
    },
    keepAcrossExec: (descriptor) => outcome(fcntl(descriptor, F_SETFD, 0)),
    hasChild: () => {
      const information = new Int32Array(SIGNAL_INFO_WORDS);
      // Nothing else than ECHILD can go wrong with these arguments.
      return waitid(P_ALL, 0, information, WEXITED | WNOHANG | WNOWAIT) === 0;
    },
    restoreSignal: (signal) => {
      signalCall(signal, SIG_DFL);
    },
    duplicateDescriptor: (descriptor, lowest) => {
      const duplicate = fcntl(descriptor, F_DUPFD, lowest);
      return duplicate >= 0 ? duplicate : errorName();
    },
    execute: (path, args, environment) => {
      execve(path, [...args, null], [...environment, null]);
      return errorName();
    },
  };
}
