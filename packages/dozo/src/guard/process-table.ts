/**
 * The processes of this machine (of this pid namespace), as `/proc` tells them, and who descends from
 * whom.
 *
 * A subreaper inherits every orphan below it, so a process stays a descendant of it whatever it does:
 * fork twice, leave its session, close its descriptors. Source: proc_pid_stat(5), prctl(2).
 */
import { readFileSync, readdirSync } from 'node:fs';

/** One process. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** Its program's name, cut to 15 bytes by the kernel. */
  readonly name: string;
  /** It runs nothing any more and only waits to be reaped. */
  readonly hasEnded: boolean;
}

/** Reads the table; a process that ends meanwhile may be left out. */
export function readProcessTable(directory = '/proc'): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync(directory)) {
    if (!/^\d+$/.test(name)) continue;
    let text: string;
    try {
      text = readFileSync(`${directory}/${name}/stat`, 'latin1');
    } catch {
      continue;
    }
    const entry = parseProcessStat(text);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Parses `/proc/PID/stat`; `undefined` for what is none. */
export function parseProcessStat(text: string): ProcessEntry | undefined {
  // The name stands in parentheses and may hold any of them itself.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(close + 2).split(' ');
  const [state, parent] = fields;
  // Field 20 of the line. A process whose first thread has ended, and no other, looks like a zombie.
  const threadCount = Number(fields[17]);
  const parentPid = Number(parent);
  if (open < 0 || close < open || !Number.isInteger(pid) || !Number.isInteger(parentPid)) {
    return undefined;
  }
  return {
    pid,
    parentPid,
    name: text.slice(open + 1, close),
    hasEnded: (state === 'Z' || state === 'X') && !(threadCount > 1),
  };
}

/** Everything below `ancestorPid`, without it, each after its parent. */
export function descendantsOf(table: readonly ProcessEntry[], ancestorPid: number): ProcessEntry[] {
  const childrenOf = Map.groupBy(table, ({ parentPid }) => parentPid);
  const found: ProcessEntry[] = [];
  const seen = new Set([ancestorPid]);
  const next = [ancestorPid];
  for (let pid = next.shift(); pid !== undefined; pid = next.shift()) {
    for (const child of childrenOf.get(pid) ?? []) {
      // A table that was read while pids were reused could go round in a circle.
      if (seen.has(child.pid)) continue;
      seen.add(child.pid);
      found.push(child);
      next.push(child.pid);
    }
  }
  return found;
}
