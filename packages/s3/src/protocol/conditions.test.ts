import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import {
  checkCopySourceConditions,
  checkWriteConditions,
  evaluateReadConditions,
  parseCopySourceConditions,
  parseReadConditions,
  parseWriteConditions,
} from './conditions.ts';

const MODIFIED = 'Thu, 05 Nov 2026 08:15:30 GMT';
const BEFORE = 'Thu, 05 Nov 2026 08:15:29 GMT';
const AFTER = 'Thu, 05 Nov 2026 08:15:31 GMT';
/** Half a second more than a header can say. */
const OBJECT = { etag: 'abc', lastModifiedMs: Date.parse(MODIFIED) + 500 };

type Headers = Readonly<Record<string, string>>;

function read(headers: Headers): string {
  const conditions = parseReadConditions(new Map(Object.entries(headers)));
  try {
    return evaluateReadConditions(conditions, OBJECT);
  } catch {
    return refusal(() => evaluateReadConditions(conditions, OBJECT)).code;
  }
}

describe('reading', () => {
  it.each<[Headers, string]>([
    [{}, 'proceed'],
    [{ 'if-match': '"abc"' }, 'proceed'],
    [{ 'if-match': 'abc' }, 'proceed'],
    [{ 'if-match': '*' }, 'proceed'],
    [{ 'if-match': '"x", "abc"' }, 'proceed'],
    [{ 'if-match': '"x"' }, 'PreconditionFailed'],
    [{ 'if-match': '' }, 'PreconditionFailed'],
    [{ 'if-none-match': '"x"' }, 'proceed'],
    [{ 'if-none-match': '"abc"' }, 'not-modified'],
    [{ 'if-none-match': 'W/"abc"' }, 'not-modified'],
    [{ 'if-none-match': '*' }, 'not-modified'],
    [{ 'if-modified-since': BEFORE }, 'proceed'],
    [{ 'if-modified-since': MODIFIED }, 'not-modified'],
    [{ 'if-modified-since': AFTER }, 'not-modified'],
    [{ 'if-modified-since': 'yesterday' }, 'proceed'],
    [{ 'if-unmodified-since': BEFORE }, 'PreconditionFailed'],
    [{ 'if-unmodified-since': MODIFIED }, 'proceed'],
    [{ 'if-unmodified-since': 'tomorrow' }, 'proceed'],
    // Who wins.
    [{ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }, 'proceed'],
    [{ 'if-match': '"x"', 'if-unmodified-since': AFTER }, 'PreconditionFailed'],
    [{ 'if-none-match': '"abc"', 'if-modified-since': BEFORE }, 'not-modified'],
    [{ 'if-none-match': '"x"', 'if-modified-since': AFTER }, 'proceed'],
    [{ 'if-match': '"abc"', 'if-none-match': '"abc"' }, 'not-modified'],
    [{ 'if-match': '"x"', 'if-none-match': '"abc"' }, 'PreconditionFailed'],
  ])('%j: %s', (headers, outcome) => {
    expect(read(headers)).toBe(outcome);
  });
});

describe('the source of a copy', () => {
  const check = (headers: Headers): void => {
    checkCopySourceConditions(parseCopySourceConditions(new Map(Object.entries(headers))), OBJECT);
  };

  it('is refused also where a read would say that nothing changed', () => {
    const failed = (headers: Headers): string =>
      refusal(() => check(headers)).detail.fields['Condition'] ?? '';
    expect(failed({ 'x-amz-copy-source-if-match': 'x' })).toBe('x-amz-copy-source-If-Match');
    expect(failed({ 'x-amz-copy-source-if-none-match': 'abc' })).toBe(
      'x-amz-copy-source-If-None-Match',
    );
    expect(failed({ 'x-amz-copy-source-if-modified-since': AFTER })).toBe(
      'x-amz-copy-source-If-Modified-Since',
    );
    expect(failed({ 'x-amz-copy-source-if-unmodified-since': BEFORE })).toBe(
      'x-amz-copy-source-If-Unmodified-Since',
    );
  });

  it('is not judged by the conditions of the target', () => {
    expect(() => check({ 'if-match': 'x' })).not.toThrow();
    expect(() => check({ 'x-amz-copy-source-if-match': 'abc' })).not.toThrow();
  });
});

describe('writing', () => {
  const write = (headers: Headers, existing: typeof OBJECT | undefined): string => {
    const conditions = parseWriteConditions(new Map(Object.entries(headers)));
    try {
      checkWriteConditions(conditions, existing);
      return 'proceed';
    } catch {
      return refusal(() => checkWriteConditions(conditions, existing)).code;
    }
  };

  it.each<[Headers, boolean, string]>([
    [{}, true, 'proceed'],
    [{}, false, 'proceed'],
    [{ 'if-none-match': '*' }, false, 'proceed'],
    [{ 'if-none-match': '*' }, true, 'PreconditionFailed'],
    [{ 'if-match': '"abc"' }, true, 'proceed'],
    [{ 'if-match': '*' }, true, 'proceed'],
    [{ 'if-match': '"x"' }, true, 'PreconditionFailed'],
    [{ 'if-match': '"abc"' }, false, 'NoSuchKey'],
    [{ 'if-match': '*' }, false, 'NoSuchKey'],
  ])('%j, object there: %s: %s', (headers, isThere, outcome) => {
    expect(write(headers, isThere ? OBJECT : undefined)).toBe(outcome);
  });

  it('refuses conditions that S3 does not know for a write', () => {
    const codeOf = (headers: Headers): string =>
      refusal(() => parseWriteConditions(new Map(Object.entries(headers)))).code;
    expect(codeOf({ 'if-none-match': '"abc"' })).toBe('NotImplemented');
    expect(codeOf({ 'if-none-match': '*', 'if-match': '"abc"' })).toBe('NotImplemented');
  });
});
