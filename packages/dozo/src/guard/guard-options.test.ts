import { describe, expect, it } from 'vitest';

import { GUARD_HELP, parseGuardTask } from './guard-options.ts';

const line = (text: string) => parseGuardTask(text.split(' '));

describe('the command line of dozo guard', () => {
  it('takes what stands after -- for the program, whatever it looks like', () => {
    expect(line('--volume /data -- postgres --volume /x -- -D --help')).toEqual({
      kind: 'run',
      volume: '/data',
      wait: false,
      name: 'postgres',
      command: ['postgres', '--volume', '/x', '--', '-D', '--help'],
    });
  });

  it('takes every option', () => {
    expect(line('--volume=/data --wait --name db --beat 500ms --lease 2.5s -- /bin/true')).toEqual({
      kind: 'run',
      volume: '/data',
      wait: true,
      name: 'db',
      beatMs: 500,
      leaseMs: 2500,
      command: ['/bin/true'],
    });
    expect(line('--volume /data --status --json')).toEqual({
      kind: 'status',
      volume: '/data',
      json: true,
    });
    expect(line('-h')).toEqual({ kind: 'help' });
  });

  it('names the program by its file, or simply, when that is no name', () => {
    expect(line('--volume /d -- /usr/bin/redis-server x')).toMatchObject({ name: 'redis-server' });
    const odd = parseGuardTask(['--volume', '/d', '--', 'a\nb']);
    expect(odd).toMatchObject({ name: 'guard' });
  });

  it.each([
    ['', '--volume is missing'],
    ['-- true', '--volume is missing'],
    ['--volume /d', 'there is no program to run'],
    ['--volume /d --', 'there is no program to run'],
    ['--volume /d sleep 100', '-- sleep'],
    ['--volume /d --wiat -- true', "Unknown option '--wiat'"],
    ['--volume', 'argument missing'],
    ['--volume /d --beat 5 -- true', 'such as 500ms'],
    ['--volume /d --lease 0s -- true', 'such as 500ms'],
    ['--volume /d --status -- true', '--status runs nothing'],
    ['--volume /d --json -- true', '--json goes with --status'],
    [`--volume /d --name ${'x'.repeat(129)} -- true`, '1 to 128 bytes'],
  ])('refuses "%s" and says why', (text, says) => {
    const parse = () => parseGuardTask(text === '' ? [] : text.split(' '));
    expect(parse).toThrow(says);
    expect(parse).toThrow(expect.objectContaining({ code: 'USAGE_INVALID' }) as Error);
  });

  it('tells every option in its help', () => {
    for (const option of ['volume', 'wait', 'name', 'beat', 'lease', 'status', 'json', 'help']) {
      expect(GUARD_HELP).toContain(`--${option}`);
    }
  });
});
