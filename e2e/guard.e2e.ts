/**
 * `dozo guard` with real processes: what it passes on, whom it refuses, and that no program runs on
 * without its guard.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DOZO, GuardProcess, isAlive, killAllGuards, shell } from './harness/guard-process.ts';
import { claimFromElsewhere } from './harness/other-machine.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import type { CommandResult } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const scratch = new Scratch('guard');
const isRoot = process.getuid?.() === 0;
let volume: string;
let count = 0;

beforeEach(() => {
  volume = scratch.directory(`volume-${++count}`);
});

afterEach(() => {
  killAllGuards();
});

afterAll(() => {
  scratch.remove();
});

function guard(command: readonly string[], options?: readonly string[]): GuardProcess {
  return new GuardProcess({ volume, command, ...(options === undefined ? {} : { options }) });
}

function dozo(...args: readonly string[]): Promise<CommandResult> {
  const [program = '', ...before] = DOZO;
  return tryCommand(program, [...before, 'guard', ...args], { timeoutMs: 120_000 });
}

function status(): Promise<CommandResult> {
  return dozo('--volume', volume, '--status');
}

/** A line of a shell that goes on when there is a file. */
function until(path: string): string {
  return `until [ -e "${path}" ]; do sleep 0.01; done`;
}

/** A program that runs until it is ended. */
const FOREVER = shell('exec sleep 1000');

describe('a guarded program', () => {
  test.each([
    { command: ['sh', '-c', 'exit 0'], ends: 0 },
    { command: ['sh', '-c', 'exit 42'], ends: 42 },
    { command: ['sh', '-c', 'kill -TERM $$'], ends: 143 },
    { command: ['sh', '-c', 'kill -KILL $$'], ends: 137 },
    { command: ['no-such-program'], ends: 127 },
    { command: ['/no/such/program'], ends: 127 },
    { command: ['/etc/passwd'], ends: 126 },
  ])('$command ends with $ends', async ({ command, ends }) => {
    const result = await dozo('--volume', volume, '--beat', '50ms', '--', ...command);
    expect(result.status).toBe(ends);
    expect(result.stderr === '').toBe(ends < 126 || ends > 127);
  });

  test('finds its streams, signals, arguments and environment as they were, and the lock', async () => {
    const script =
      'grep flags /proc/self/fdinfo/1; grep -E "Sig(Ign|Blk)" /proc/self/status; ' +
      'readlink /proc/self/fd/100; echo "$1|$NODE_OPTIONS|$DOZO_GUARD_NODE_OPTIONS|"; cat';
    const line = [...DOZO, 'guard', '--volume', volume, '--', 'sh', '-c', script, 'sh', '-- a b'];
    const [program = '', ...args] = line;
    const result = await tryCommand(program, args, {
      input: 'what came in',
      environment: { NODE_OPTIONS: '--max-old-space-size=200' },
    });
    const [flags = '', ...rest] = result.stdout.split('\n');
    // O_NONBLOCK is 04000.
    expect(Number.parseInt(flags.replace(/\D/g, ''), 8) & 0o4000).toBe(0);
    expect(rest.slice(0, 2)).toEqual([
      expect.stringMatching(/^SigBlk:\s0+$/),
      expect.stringMatching(/^SigIgn:\s0+$/),
    ]);
    expect(rest.slice(2)).toEqual([
      `${volume}/.dozo-claim`,
      '-- a b|--max-old-space-size=200||',
      'what came in',
    ]);
  });

  test('gets the signals that its guard gets, and ends as it likes', async () => {
    const names = ['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'WINCH', 'TSTP', 'CONT'];
    const traps = names.map((name) => `trap 'echo got ${name}' ${name}`).join('; ');
    const program = guard(
      shell(`${traps}; trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.02; done`),
    );
    await program.said(/ready/);
    for (const name of names) {
      program.signal(`SIG${name}` as NodeJS.Signals);
      await program.said(new RegExp(`got ${name}`));
    }
    program.signal('SIGTERM');
    expect(await program.closed).toEqual({ status: 9, signal: null });
    expect(program.output).toContain('bye');
  });

  test('has its orphans reaped, and what it leaves running is ended before the claim is free', async () => {
    const there = scratch.join('daemon-is-there');
    const daemon = `setsid bash -c 'exec 100>&-; echo DAEMON=$$; > "${there}"; exec sleep 1000' &`;
    const program = guard(shell(`${daemon} (sleep 0.01 &); ${until(there)}; sleep 0.1; exit 5`));
    const pid = await program.pidOf('DAEMON');
    expect((await program.closed).status).toBe(5);
    expect(program.errors).toContain('what it left running is asked to end');
    expect(isAlive(pid)).toBe(false);
    expect((await status()).stdout).toContain('is free; last held by sh');
  });

  test('whose children ignore SIGTERM has them killed', async () => {
    const there = scratch.join('child-is-there');
    const loop = `echo STUBBORN=$$; > "${there}"; while :; do sleep 1; done`;
    const program = guard(shell(`bash -c 'trap "" TERM; ${loop}' & ${until(there)}; exit 6`));
    const pid = await program.pidOf('STUBBORN');
    expect((await program.closed).status).toBe(6);
    expect(isAlive(pid)).toBe(false);
  });
});

describe('a second guard', () => {
  test('is refused, names the first one, and starts nothing', async () => {
    const first = new GuardProcess({
      volume,
      command: FOREVER,
      environment: { POD_NAME: 'postgres-0' },
      options: ['--name', 'the first'],
    });
    await first.pidOf('PROGRAM');
    const second = await dozo('--volume', volume, '--', 'touch', `${volume}/ran`);
    expect(second.status).toBe(3);
    for (const told of [`process ${first.pid}`, hostname(), 'postgres-0', 'the first', '--wait']) {
      expect(second.stderr).toContain(told);
    }
    expect(second.stderr).toMatch(/held since 20.*last beat 20/);
    expect(existsSync(`${volume}/ran`)).toBe(false);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'that waits says so once, and goes on when the first one ends by %s',
    async (signal) => {
      const first = guard(FOREVER);
      const pid = await first.pidOf('PROGRAM');
      const second = new GuardProcess({
        volume,
        command: shell(`kill -0 ${pid} 2>/dev/null && echo BOTH; exit 3`),
        options: ['--wait'],
      });
      await second.said(/waiting for .*process \d+/);
      first.signal(signal);
      expect((await second.closed).status).toBe(3);
      expect(second.output).not.toContain('BOTH');
      expect(second.errors.match(/waiting for/g)).toHaveLength(1);
    },
  );

  test('that waits ends at once when it is asked to', async () => {
    const first = guard(FOREVER);
    await first.pidOf('PROGRAM');
    const second = new GuardProcess({ volume, command: FOREVER, options: ['--wait'] });
    await second.said(/waiting for/);
    second.signal('SIGTERM');
    expect(await second.closed).toEqual({ status: 143, signal: null });
  });

  test.runIf(isRoot)('is refused through another path to the same volume', async () => {
    const [left, right] = [scratch.directory('left'), scratch.directory('right')];
    await runCommand('mount', ['--bind', volume, left]);
    await runCommand('mount', ['--bind', volume, right]);
    try {
      const first = new GuardProcess({ volume: left, command: FOREVER });
      await first.pidOf('PROGRAM');
      const second = await dozo('--volume', right, '--', 'true');
      expect(second.status).toBe(3);
      expect(second.stderr).toContain(`process ${first.pid}`);
      first.signal('SIGTERM');
      await first.closed;
    } finally {
      await runCommand('umount', [left]);
      await runCommand('umount', [right]);
    }
  });
});

describe('killed with SIGKILL', () => {
  /** A program with a child that has left its session and closed the lock. */
  const FAMILY = shell(
    "setsid bash -c 'exec 100>&-; echo CHILD=$$; exec sleep 1000' & exec sleep 1000",
  );

  test('the guard alone: all processes of the program die, and the next one starts at once', async () => {
    const first = guard(FAMILY);
    const pids = [await first.pidOf('PROGRAM'), await first.pidOf('CHILD')];
    first.signal('SIGKILL');
    expect((await first.closed).signal).toBe('SIGKILL');
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect((await dozo('--volume', volume, '--', 'true')).status).toBe(0);
  });

  test('the watcher alone: the guard kills the rest and gives the claim back', async () => {
    const first = guard(FAMILY);
    const pids = [await first.pidOf('PROGRAM'), await first.pidOf('CHILD')];
    process.kill(await first.pidOf('WATCHER'), 'SIGKILL');
    expect((await first.closed).status).toBe(137);
    expect(first.errors).toContain('the process that watches the program was killed');
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect((await status()).stdout).toContain('released');
  });

  test('the program alone: its children are ended, and the status says so', async () => {
    const first = guard(FAMILY);
    const child = await first.pidOf('CHILD');
    process.kill(await first.pidOf('PROGRAM'), 'SIGKILL');
    expect((await first.closed).status).toBe(137);
    expect(isAlive(child)).toBe(false);
  });

  test('guard and watcher at once: the program dies, and an orphan with the lock keeps others out', async () => {
    const first = guard(shell("setsid sh -c 'echo ORPHAN=$$; exec sleep 1000' & exec sleep 1000"));
    const orphan = await first.pidOf('ORPHAN');
    const watcher = await first.pidOf('WATCHER');
    // Stopped, neither can do anything before both are dead.
    for (const pid of [first.pid, watcher]) process.kill(pid, 'SIGSTOP');
    for (const pid of [watcher, first.pid]) process.kill(pid, 'SIGKILL');
    await first.exited;
    const program = await first.pidOf('PROGRAM');
    expect(isAlive(orphan)).toBe(true);
    const second = await dozo('--volume', volume, '--', 'true');
    expect(second.status).toBe(3);
    // The guard that the ring names is dead: who is to be ended is said all the same.
    expect(second.stderr).toContain(`its lock is kept by process ${orphan}.`);
    expect((await status()).stdout).toContain(`its lock is kept by process ${orphan}.`);
    expect(isAlive(program)).toBe(false);
    process.kill(orphan, 'SIGKILL');
    await first.closed;
    expect((await dozo('--volume', volume, '--wait', '--', 'true')).status).toBe(0);
  });
});

describe('stopped with SIGSTOP', () => {
  test('the guard alone, for longer than the lease: its program is killed before the lease ends', async () => {
    const first = guard(shell('while :; do date +%s%N; sleep 0.05; done'));
    await first.pidOf('PROGRAM');
    const stoppedMs = Date.now();
    first.signal('SIGSTOP');
    await first.said(/asked to end/);
    const second = await dozo('--volume', volume, '--', 'true');
    expect(second.status).toBe(3);
    expect((await status()).stdout).toContain('its holder is silent');
    first.signal('SIGCONT');
    expect((await first.closed).status).toBe(10);
    const lastMs = Number(first.output.trim().split('\n').at(-1)) / 1e6;
    // The lease of 3 s runs from before the last beat, which was before the stop.
    expect(lastMs).toBeLessThan(stoppedMs + 3_000);
    expect((await dozo('--volume', volume, '--', 'true')).status).toBe(0);
  });

  test('the guard alone, and continued in time: everything goes on', async () => {
    const first = guard(shell('trap "exit 8" TERM; echo ready; while :; do sleep 0.02; done'));
    const pid = await first.pidOf('PROGRAM');
    await first.said(/ready/);
    first.signal('SIGSTOP');
    const held = readFileSync(`/proc/${first.pid}/stat`, 'latin1');
    expect(held).toMatch(/\) [TRSD] /);
    first.signal('SIGCONT');
    expect(isAlive(pid)).toBe(true);
    expect((await status()).status).toBe(0);
    first.signal('SIGTERM');
    expect((await first.closed).status).toBe(8);
  });

  test('the watcher alone: the guard goes on with its beats, and nothing is lost', async () => {
    const first = guard(
      shell('trap "exit 8" TERM; echo ready; while :; do date +%s%N; sleep 0.05; done'),
    );
    const watcher = await first.pidOf('WATCHER');
    await first.said(/ready/);
    process.kill(watcher, 'SIGSTOP');
    await longerThanTheLease();
    process.kill(watcher, 'SIGCONT');
    expect((await status()).status).toBe(0);
    first.signal('SIGTERM');
    expect((await first.closed).status).toBe(8);
    expect(first.errors).toBe('');
  });

  test('the watcher alone, when the claim is gone: the guard kills all by itself', async () => {
    const first = guard(FOREVER);
    const pid = await first.pidOf('PROGRAM');
    process.kill(await first.pidOf('WATCHER'), 'SIGSTOP');
    rmSync(`${volume}/.dozo-claim`);
    expect((await first.closed).status).toBe(10);
    expect(isAlive(pid)).toBe(false);
  });

  test('guard and watcher, and the guard continued after the lease: the program is killed', async () => {
    const first = guard(FOREVER);
    const pid = await first.pidOf('PROGRAM');
    const watcher = await first.pidOf('WATCHER');
    for (const each of [watcher, first.pid]) process.kill(each, 'SIGSTOP');
    await longerThanTheLease();
    // The guard alone at first: it could renew the lease, which must not help a program that ran without.
    process.kill(first.pid, 'SIGCONT');
    expect((await first.closed).status).toBe(10);
    expect(isAlive(pid)).toBe(false);
  });

  test('guard and watcher, and the watcher continued after the lease: the program is killed', async () => {
    const first = guard(FOREVER);
    const pid = await first.pidOf('PROGRAM');
    const watcher = await first.pidOf('WATCHER');
    for (const each of [watcher, first.pid]) process.kill(each, 'SIGSTOP');
    await longerThanTheLease();
    process.kill(watcher, 'SIGCONT');
    await first.said(/the program was killed/);
    // The signal is sent before the line is said; the kernel takes its time with it.
    await expect.poll(() => isAlive(pid)).toBe(false);
    process.kill(first.pid, 'SIGCONT');
    expect((await first.closed).status).toBe(10);
  });

  test('the program alone: the guard goes on, and so does the program when it is continued', async () => {
    const first = guard(shell('trap "exit 8" TERM; echo ready; while :; do sleep 0.02; done'));
    const pid = await first.pidOf('PROGRAM');
    await first.said(/ready/);
    process.kill(pid, 'SIGSTOP');
    await longerThanTheLease();
    process.kill(pid, 'SIGCONT');
    first.signal('SIGTERM');
    expect((await first.closed).status).toBe(8);
  });
});

describe('another machine, without a lock in common', () => {
  test('gets the volume only after the program of a stopped guard is dead', async () => {
    const first = guard(shell('trap "" TERM; echo ready; while :; do sleep 0.02; done'));
    const pid = await first.pidOf('PROGRAM');
    await first.said(/ready/);
    first.signal('SIGSTOP');
    const other = await claimFromElsewhere(volume);
    expect(isAlive(pid)).toBe(false);
    first.signal('SIGCONT');
    expect([9, 10]).toContain((await first.closed).status);
    await other.close();
  });

  test('does not get it while a guard beats, and gets it when the guard has ended', async () => {
    const first = guard(FOREVER);
    const pid = await first.pidOf('PROGRAM');
    const other = claimFromElsewhere(volume);
    const early = await Promise.race([other.then(() => 'claimed'), longerThanTheLease()]);
    expect(early).not.toBe('claimed');
    expect(isAlive(pid)).toBe(true);
    first.signal('SIGTERM');
    const { claim, close } = await other;
    expect(claim.identity.incarnation).toBe(2);
    await first.closed;
    await close();
  });

  test('that breaks in fences the guard: all is killed at once, status 9', async () => {
    const first = guard(shell('trap "" TERM; echo ready; while :; do sleep 0.02; done'));
    const pid = await first.pidOf('PROGRAM');
    await first.said(/ready/);
    const other = await claimFromElsewhere(volume, { skipWatch: true, skipReadAfterClaim: true });
    expect((await first.closed).status).toBe(9);
    expect(first.errors).toContain('taken over by process 1 on host elsewhere');
    expect(isAlive(pid)).toBe(false);
    const refused = await dozo('--volume', volume, '--', 'true');
    expect(refused.status).toBe(3);
    expect(refused.stderr).toContain('elsewhere');
    await other.close();
  });

  test('that died leaves the volume to a guard that waits for its lease, and says so', async () => {
    const other = await claimFromElsewhere(volume);
    other.claim.abandon();
    const next = await dozo('--volume', volume, '--', 'true');
    expect(next.status).toBe(0);
    expect(next.stderr).toMatch(/held by process 1 on host elsewhere.*watching for 5/);
    await other.close();
  });
});

describe('on a terminal', () => {
  /** Runs a guard on a terminal of its own, types into it, and gives back what it showed. */
  function onTerminal(script: string, typed: string): Promise<CommandResult> {
    const line = [...DOZO, 'guard', '--volume', volume, '--', 'sh', '-c', script];
    const quoted = line.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    return tryCommand('python3', ['-c', TERMINAL, quoted, typed], { timeoutMs: 60_000 });
  }

  test('Ctrl-C reaches the program once, and the program has the terminal', async () => {
    const count = 'n=0; trap "n=\\$((n+1))" INT; tty; stty size >/dev/null && echo READY';
    const wait = 'for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; echo "got=$n"; exit 7';
    const result = await onTerminal(`${count}; ${wait}`, '\u0003');
    expect(result.stdout).toContain('/dev/pts/');
    expect(result.stdout).toContain('got=1');
    expect(result.status).toBe(7);
  });
});

describe('the claim file', () => {
  test('deleted under a guard: the program is killed, status 10', async () => {
    const first = guard(FOREVER);
    const pid = await first.pidOf('PROGRAM');
    rmSync(`${volume}/.dozo-claim`);
    expect((await first.closed).status).toBe(10);
    expect(first.errors).toContain('was deleted, moved or covered');
    expect(isAlive(pid)).toBe(false);
  });

  test('that is none is refused, and left alone', async () => {
    writeFileSync(`${volume}/.dozo-claim`, 'x'.repeat(100_000));
    const result = await dozo('--volume', volume, '--', 'true');
    expect(result.status).toBe(4);
    expect(result.stderr).toContain('is not a claim file');
    expect((await status()).status).toBe(4);
    expect(readFileSync(`${volume}/.dozo-claim`, 'utf8')).toMatch(/^x+$/);
  });

  test('whose ring is garbage is refused', async () => {
    expect((await dozo('--volume', volume, '--', 'true')).status).toBe(0);
    const bytes = readFileSync(`${volume}/.dozo-claim`);
    bytes.fill(0x5a, 64 * 1024, 128 * 1024);
    writeFileSync(`${volume}/.dozo-claim`, bytes);
    const result = await dozo('--volume', volume, '--', 'true');
    expect(result.status).toBe(4);
    expect(result.stderr).toContain('damaged');
  });

  test('keeps its intervals, and says so to who wants others', async () => {
    expect(
      (await dozo('--volume', volume, '--beat', '100ms', '--lease', '8s', '--', 'true')).status,
    ).toBe(0);
    const other = await dozo('--volume', volume, '--lease', '9s', '--', 'true');
    expect(other.status).toBe(0);
    expect(other.stderr).toContain('a beat each 100ms and a lease of 8s');
    const wrong = await dozo('--volume', volume, '--beat', '5s', '--lease', '6s', '--', 'true');
    expect(wrong.status).toBe(2);
  });
});

describe('--status', () => {
  test('tells a volume that was never guarded, one that is held, and a free one', async () => {
    expect(await status()).toMatchObject({
      status: 8,
      stdout: expect.stringContaining('is free') as string,
    });
    expect(existsSync(`${volume}/.dozo-claim`)).toBe(false);
    const first = guard(FOREVER, ['--name', 'db', '--beat', '200ms', '--lease', '3s']);
    await first.pidOf('PROGRAM');
    const held = await dozo('--volume', volume, '--status', '--json');
    expect(held.status).toBe(0);
    expect(JSON.parse(held.stdout)).toMatchObject({
      volume,
      state: 'held',
      beatIntervalMs: 200,
      leaseMs: 3000,
      holder: { name: 'db', processId: first.pid, host: hostname(), slotState: 'held' },
    });
    first.signal('SIGTERM');
    await first.closed;
    const free = await dozo('--volume', volume, '--status', '--json');
    expect(free.status).toBe(8);
    expect(JSON.parse(free.stdout)).toMatchObject({
      state: 'free',
      holder: { slotState: 'released' },
    });
  });
});

describe('the machine', () => {
  test('refuses what is no volume, in words', async () => {
    writeFileSync(`${volume}/file`, '');
    for (const path of ['/nowhere/at/all', `${volume}/file`]) {
      const result = await dozo('--volume', path, '--', 'true');
      expect(result.status).toBe(6);
      expect(result.stderr).toMatch(/^dozo guard: Guarding .*\.\n$/);
    }
  });

  test.runIf(isRoot)('refuses a read-only and a full volume, in words', async () => {
    await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', volume]);
    try {
      writeFileSync(`${volume}/full`, Buffer.alloc(64 * 1024));
      const full = await dozo('--volume', volume, '--', 'true');
      expect(full).toMatchObject({
        status: 6,
        stderr: expect.stringContaining('no room') as string,
      });
      await runCommand('mount', ['-o', 'remount,ro', volume]);
      const readOnly = await dozo('--volume', volume, '--', 'true');
      expect(readOnly.status).toBe(6);
      expect(readOnly.stderr).toMatch(/EROFS|read-only/);
    } finally {
      await runCommand('umount', [volume]);
    }
  });

  test.runIf(isRoot)('needs no root', async () => {
    await runCommand('chown', ['65534:65534', volume]);
    // The scratch directory is its maker's alone.
    chmodSync(scratch.path, 0o711);
    const own = new GuardProcess({
      volume,
      command: ['id', '-u'],
      before: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'],
    });
    expect((await own.closed).status).toBe(0);
    expect(own.output).toBe('65534\n');
  });

  test.runIf(isRoot)('may make it process 1 of a container', async () => {
    const orphan = "sh -c 'sleep 0.2' & sh -c 'sh -c \"exec sleep 0.1\" & exit' ; sleep 0.5";
    const count = 'grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l';
    const first = new GuardProcess({
      volume,
      command: [
        'sh',
        '-c',
        `trap 'echo bye; exit 4' TERM; ${orphan}; echo zombies=$(${count}); echo up; while :; do sleep 0.05; done`,
      ],
      before: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'],
    });
    await first.said(/zombies=0\nup/);
    const inside = Number(await runCommand('pgrep', ['-P', String(first.pid)]));
    process.kill(inside, 'SIGTERM');
    expect((await first.closed).status).toBe(4);
  });

  test.runIf(isRoot)(
    'may hang its disk: the program is asked to end, then killed in time',
    async () => {
      const image = scratch.join(`disk-${count}`);
      await runCommand('truncate', ['-s', '64M', image]);
      await runCommand('mkfs.ext4', ['-q', image]);
      mkdirSync(volume, { recursive: true });
      await runCommand('mount', ['-o', 'loop', image, volume]);
      try {
        const first = guard(
          shell('trap "echo asked" TERM; echo ready; while :; do sleep 0.05; done'),
        );
        const pid = await first.pidOf('PROGRAM');
        await first.said(/ready/);
        await runCommand('fsfreeze', ['-f', volume]);
        try {
          await first.said(/asked/);
          await first.said(/the guard does not renew the lease/);
        } finally {
          await runCommand('fsfreeze', ['-u', volume]);
        }
        expect((await first.closed).status).toBe(10);
        expect(isAlive(pid)).toBe(false);
      } finally {
        await runCommand('umount', [volume]);
      }
    },
  );
});

/** Runs a command line on a pseudo-terminal; types when it shows READY; ends with its status. */
const TERMINAL = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp('sh', ['sh', '-c', 'exec ' + sys.argv[1]])
seen = b''
typed = False
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    if b'READY' in seen and not typed:
        typed = True
        os.write(fd, sys.argv[2].encode())
sys.stdout.write(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** Time itself is what is tested here: a lease of 3 s. */
function longerThanTheLease(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3_500));
}
