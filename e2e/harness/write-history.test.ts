import { expect, test } from 'vitest';
import { WriteHistory } from './write-history.ts';

test('a key that was never written holds nothing', () => {
  expect(new WriteHistory<string>().possible('k')).toEqual([undefined]);
});

test('an acknowledged write is the only value that may be there', () => {
  const history = new WriteHistory<string>();
  history.acknowledged(history.sent('k', 'a'));
  expect(history.possible('k')).toEqual(['a']);
  history.acknowledged(history.sent('k', undefined));
  expect(history.possible('k')).toEqual([undefined]);
});

test('a write without an answer may have happened or not', () => {
  const history = new WriteHistory<string>();
  history.acknowledged(history.sent('k', 'a'));
  history.sent('k', 'b');
  expect(history.possible('k')).toEqual(['a', 'b']);
});

test('an old write without an answer may even come after a later acknowledged one', () => {
  const history = new WriteHistory<string>();
  history.sent('k', 'lost');
  history.acknowledged(history.sent('k', 'a'));
  expect(history.possible('k')).toEqual(['lost', 'a']);
});

test('of two acknowledged writes that overlap either may be the last', () => {
  const history = new WriteHistory<string>();
  const first = history.sent('k', 'a');
  const second = history.sent('k', 'b');
  history.acknowledged(second);
  history.acknowledged(first);
  expect(history.possible('k')).toEqual(['a', 'b']);
});

test('what was found after a crash is what counts from then on', () => {
  const history = new WriteHistory<string>();
  history.sent('k', 'lost');
  history.settled('k', undefined);
  expect(history.isTouched('k')).toBe(false);
  expect(history.possible('k')).toEqual([undefined]);
});
