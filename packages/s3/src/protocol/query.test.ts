import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { QUERY_PARAMETERS_MAX } from '../limits.ts';
import { Query } from './query.ts';

describe('Query', () => {
  it('decodes names and values; a plus is a space, the first of two counts', () => {
    const query = Query.parse('prefix=a+b%2B%3D&acl&&marker=&prefix=second&x=1=2');
    expect(query.parameters).toEqual([
      { name: 'prefix', value: 'a b+=' },
      { name: 'acl', value: '' },
      { name: 'marker', value: '' },
      { name: 'prefix', value: 'second' },
      { name: 'x', value: '1=2' },
    ]);
    expect(query.get('prefix')).toBe('a b+=');
    expect([query.has('acl'), query.has('__proto__')]).toEqual([true, false]);
    expect(Query.parse('').parameters).toEqual([]);
  });

  it('refuses broken escapes, in names too', () => {
    expect(refusal(() => Query.parse('a=%')).code).toBe('InvalidURI');
    expect(refusal(() => Query.parse('%ff=a')).code).toBe('InvalidURI');
  });

  it('refuses more parameters than anybody needs', () => {
    const text = (count: number): string => Array.from({ length: count }, () => 'a=b').join('&');
    expect(Query.parse(text(QUERY_PARAMETERS_MAX)).parameters).toHaveLength(QUERY_PARAMETERS_MAX);
    expect(refusal(() => Query.parse(text(QUERY_PARAMETERS_MAX + 1))).code).toBe('InvalidRequest');
  });
});
