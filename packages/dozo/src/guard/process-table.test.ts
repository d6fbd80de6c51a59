import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { descendantsOf, parseProcessStat, readProcessTable } from './process-table.ts';

let proc: string;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'dozo-proc-'));
});

afterEach(() => {
  rmSync(proc, { recursive: true });
});

/** A line as the kernel writes it; `threads` is field 20. */
function statLine(pid: number, parentPid: number, name = 'sh', state = 'S', threads = 1): string {
  const middle = Array.from({ length: 15 }, () => '0').join(' ');
  return `${pid} (${name}) ${state} ${parentPid} ${middle} ${threads} 0 0\n`;
}

function addProcess(pid: number, parentPid: number): void {
  mkdirSync(join(proc, String(pid)));
  writeFileSync(join(proc, String(pid), 'stat'), statLine(pid, parentPid));
}

describe('parseProcessStat', () => {
  it('takes a name with blanks and parentheses for what it is', () => {
    const entry = parseProcessStat(statLine(42, 7, 'a) R (1 b'));
    expect(entry).toEqual({ pid: 42, parentPid: 7, name: 'a) R (1 b', hasEnded: false });
  });

  it('tells a zombie from a process whose first thread has ended', () => {
    expect(parseProcessStat(statLine(1, 0, 'x', 'Z', 1))?.hasEnded).toBe(true);
    expect(parseProcessStat(statLine(1, 0, 'x', 'Z', 3))?.hasEnded).toBe(false);
    expect(parseProcessStat(statLine(1, 0, 'x', 'T', 1))?.hasEnded).toBe(false);
  });

  it.each(['', 'no process', '1 sh S 2', 'x (sh) S 2'])('takes %j for none', (text) => {
    expect(parseProcessStat(text)).toBeUndefined();
  });
});

describe('readProcessTable', () => {
  it('reads the processes there are, and leaves out what has gone meanwhile', () => {
    addProcess(1, 0);
    addProcess(30, 1);
    mkdirSync(join(proc, '31'));
    mkdirSync(join(proc, 'self'));
    writeFileSync(join(proc, 'uptime'), '1 1');
    expect(readProcessTable(proc).map(({ pid }) => pid)).toEqual([1, 30]);
  });

  it('finds this very process under its parent', () => {
    const own = readProcessTable().find(({ pid }) => pid === process.pid);
    expect(own?.parentPid).toBe(process.ppid);
  });
});

describe('descendantsOf', () => {
  it('finds children of children, each after its parent, and nobody else', () => {
    for (const [pid, parentPid] of [
      [1, 0],
      [10, 1],
      [11, 10],
      [12, 11],
      [5, 12],
      [13, 10],
      [20, 1],
      [21, 20],
    ] as const) {
      addProcess(pid, parentPid);
    }
    const pids = descendantsOf(readProcessTable(proc), 10).map(({ pid }) => pid);
    expect(pids.toSorted((left, right) => left - right)).toEqual([5, 11, 12, 13]);
    expect(pids.indexOf(12)).toBeGreaterThan(pids.indexOf(11));
    expect(pids.indexOf(5)).toBeGreaterThan(pids.indexOf(12));
  });

  it('comes to an end when reused pids make a circle', () => {
    const entry = (pid: number, parentPid: number) => ({
      pid,
      parentPid,
      name: '',
      hasEnded: false,
    });
    expect(descendantsOf([entry(2, 3), entry(3, 2), entry(4, 3)], 2)).toHaveLength(2);
    expect(descendantsOf([entry(0, 0)], 0)).toEqual([]);
  });
});
