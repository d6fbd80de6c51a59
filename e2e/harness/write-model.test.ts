import { expect, test } from 'vitest';
import { WriteModel } from './write-model.ts';

function batch(
  kind: 'submitted' | 'acknowledged' | 'rejected',
  tag: string,
  puts: readonly string[],
  deletes: readonly string[] = [],
): Parameters<WriteModel['hear']>[0] {
  return { kind, tag, puts, deletes };
}

function modelOf(...lines: Parameters<WriteModel['hear']>[0][]): WriteModel {
  const model = new WriteModel();
  for (const line of lines) model.hear(line);
  return model;
}

test('what was acknowledged must be there', () => {
  const lines = [batch('submitted', 't', ['a']), batch('acknowledged', 't', ['a'])];
  expect(modelOf(...lines).adopt([['a', 't']])).toEqual([]);
  expect(modelOf(...lines).adopt([])).toEqual(['a is absent, not t']);
});

test('what was acknowledged as deleted must not come back', () => {
  const lines = [batch('acknowledged', 't', ['a']), batch('acknowledged', 'u', [], ['a'])];
  expect(modelOf(...lines).adopt([])).toEqual([]);
  expect(modelOf(...lines).adopt([['a', 't']])).toEqual(['a is t, not absent']);
});

test('what nobody wrote must not be there', () => {
  expect(modelOf().adopt([['a', 't']])).toEqual(['a is t, not absent']);
});

test('a batch that was cut off is there as a whole or not at all', () => {
  const lines = [
    batch('acknowledged', 't', ['a', 'b', 'c']),
    batch('submitted', 'u', ['a', 'b'], ['c']),
  ];
  const before = [
    ['a', 't'],
    ['b', 't'],
    ['c', 't'],
  ] as const;
  const after = [
    ['a', 'u'],
    ['b', 'u'],
  ] as const;
  expect(modelOf(...lines).adopt(before)).toEqual([]);
  expect(modelOf(...lines).adopt(after)).toEqual([]);
  expect(modelOf(...lines).adopt([...after, ['c', 't']])).toEqual([
    'a is u, not t',
    'b is u, not t',
  ]);
});

test('what was seen of a batch that was cut off stays so', () => {
  const model = modelOf(batch('submitted', 't', ['a']));
  expect(model.adopt([])).toEqual([]);
  expect(model.adopt([['a', 't']])).toEqual(['a is t, not absent']);
});

test('a refused batch must not be there', () => {
  const model = modelOf(batch('submitted', 't', ['a']), batch('rejected', 't', ['a']));
  expect(model.adopt([['a', 't']])).toEqual(['a is t, not absent']);
});

test('a reader that was asked for some keys is judged by those', () => {
  const lines = [batch('acknowledged', 't', ['a', 'b']), batch('submitted', 'u', ['c'])];
  expect(modelOf(...lines).pendingKeys()).toEqual(['c']);
  expect(modelOf(...lines).adopt([['a', 't']], new Set(['a', 'c']))).toEqual([]);
  expect(modelOf(...lines).adopt([], new Set(['b', 'c']))).toEqual(['b is absent, not t']);
});
