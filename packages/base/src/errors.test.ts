import { describe, expect, it } from 'vitest';

import { assert, AssertionError, unreachable } from './assert.ts';
import { DozoError, hasCode } from './errors.ts';

class StoveError extends DozoError<{ readonly code: 'STOVE_HOT'; readonly degrees: number }> {}

describe('DozoError', () => {
  it('carries its code, its fields and its cause', () => {
    const cause = new Error('sun');
    const error = new StoveError('Hot.', { code: 'STOVE_HOT', degrees: 200 }, { cause });
    expect(error).toMatchObject({ name: 'StoveError', code: 'STOVE_HOT', cause });
    expect(hasCode(error, 'OTHER', 'STOVE_HOT')).toBe(true);
    expect(hasCode(error, 'OTHER')).toBe(false);
    expect(hasCode(cause, 'STOVE_HOT')).toBe(false);
    expect(hasCode(undefined, 'STOVE_HOT')).toBe(false);
  });
});

describe('assert', () => {
  it('throws for a bug and nothing else', () => {
    assert(true, 'fine');
    expect(() => {
      assert(false, 'broken');
    }).toThrow(new AssertionError('broken'));
    expect(() => unreachable('x' as never)).toThrow('unreachable: x');
  });
});
