import type { Clock } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { chooseFormat, createLog } from './log.ts';
import type { LogOptions } from './log.ts';

const clock: Clock = {
  wallMs: () => 1_700_000_000_123,
  monotonicMs: () => 0,
  turn: () => Promise.resolve(),
  startTimer: () => ({ cancel: () => undefined }),
};

function capture(options: Pick<LogOptions, 'level' | 'format'>) {
  const lines: string[] = [];
  const output = { write: (line: string) => void lines.push(line) };
  return { lines, log: createLog({ ...options, color: false, clock, output }) };
}

describe('createLog', () => {
  it('writes one JSON object a line, with the time of the Clock port', () => {
    const { lines, log } = capture({ level: 'info', format: 'json' });
    log.info({ endpoint: 'http://127.0.0.1:9000' }, 'serving');
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: 1_700_000_000_123,
      pid: process.pid,
      endpoint: 'http://127.0.0.1:9000',
      msg: 'serving',
    });
  });

  it('writes a line without braces for people', () => {
    const { lines, log } = capture({ level: 'info', format: 'human' });
    log.warn('something to know');
    expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.123\] WARN: something to know\n$/);
  });

  it('leaves out what is less important than asked for', () => {
    const { lines, log } = capture({ level: 'warn', format: 'json' });
    log.info('no');
    log.error('yes');
    expect(lines).toHaveLength(1);
  });

  it('never writes a secret, though somebody logs the credentials', () => {
    const credentials = { accessKeyId: 'me', secretAccessKey: 'hidden-thing' };
    for (const format of ['json', 'human'] as const) {
      const { lines, log } = capture({ level: 'info', format });
      log.info(credentials, 'one');
      log.info({ credentials }, 'two');
      log.info({ kept: { SecretAccessKey: 'hidden-thing' } }, 'three');
      expect(lines).toHaveLength(3);
      expect(lines.join('')).not.toContain('hidden-thing');
    }
  });
});

describe('chooseFormat', () => {
  it('is for people on a terminal and for machines elsewhere, unless somebody chooses', () => {
    expect(chooseFormat('auto', true)).toBe('human');
    expect(chooseFormat('auto', false)).toBe('json');
    expect(chooseFormat('human', false)).toBe('human');
    expect(chooseFormat('json', true)).toBe('json');
  });
});
