import { expect, test } from 'vitest';

import { renderTable, wrapText } from './table.ts';

test('text breaks at spaces, and a word that is too long stands alone', () => {
  expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrapText('a verylongword b', 5)).toEqual(['a', 'verylongword', 'b']);
  expect(wrapText('', 5)).toEqual(['']);
});

test('cells wrap inside their column, rows are ruled off', () => {
  const columns = [
    { head: 'way in', width: 8 },
    { head: 'data', width: 6 },
  ];
  expect(renderTable(columns, [['same path', 'intact'], ['mknod']])).toBe(
    [
      '--------  ------',
      'way in    data',
      '--------  ------',
      'same      intact',
      'path',
      '--------  ------',
      'mknod',
      '--------  ------',
      '',
    ].join('\n'),
  );
});
