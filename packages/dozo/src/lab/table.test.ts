import { expect, test } from 'vitest';

import { renderTable, wrapText } from './table.ts';

test('text breaks at spaces, and a word that is too long stands alone', () => {
  expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrapText('a verylongword b', 5)).toEqual(['a', 'verylongword', 'b']);
  expect(wrapText('', 5)).toEqual(['']);
  expect(wrapText('one\n  two  three\n', 20)).toEqual(['one', 'two three', '']);
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

test('a cell never grows over its column: a word that is too long is cut', () => {
  const columns = [
    { head: 'way', width: 4 },
    { head: 'data', width: 4 },
  ];
  const lines = renderTable(columns, [['abcdefghi', 'xy']]).split('\n');
  expect(lines.slice(3, 6)).toEqual(['abcd  xy', 'efgh', 'i']);
});
