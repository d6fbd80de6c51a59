import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import {
  KEPT_HEADER_BYTES_MAX,
  USER_METADATA_BYTES_MAX,
  USER_METADATA_NAME_BYTES_MAX,
} from '../limits.ts';
import { parseRequestHeaders } from './headers.ts';
import { parseObjectHeaders, renderObjectHeaders } from './object-headers.ts';
import { Query } from './query.ts';

const STANDARD = {
  'content-type': 'text/plain',
  'cache-control': 'no-cache',
  'content-disposition': 'attachment',
  'content-encoding': 'gzip',
  'content-language': 'de',
  expires: 'Thu, 05 Nov 2026 08:15:30 GMT',
};

describe('headers that are kept', () => {
  it('come back as they went in', () => {
    const sent = {
      ...STANDARD,
      'x-amz-meta-note': Buffer.from('grün').toString('latin1'),
      'x-amz-meta-__proto__': 'own',
      'x-amz-meta-1': '',
    };
    const headers = parseRequestHeaders(Object.entries(sent).flat());
    expect(renderObjectHeaders(parseObjectHeaders(headers), Query.EMPTY)).toEqual(sent);
  });

  it('do not include anything else', () => {
    const headers = new Map([
      ['host', 'h'],
      ['x-amz-date', 'd'],
      ['etag', 'e'],
    ]);
    expect(parseObjectHeaders(headers)).toEqual({ userMetadata: [] });
    expect(renderObjectHeaders({ userMetadata: [] }, Query.EMPTY)).toEqual({
      'content-type': 'binary/octet-stream',
    });
  });

  it.each([
    ['aws-chunked', undefined],
    ['gzip,aws-chunked', 'gzip'],
    ['aws-chunked, gzip', 'gzip'],
    ['gzip, br', 'gzip, br'],
    ['', undefined],
  ])("keep of the encoding %j what is the object's own", (sent, kept) => {
    const headers = parseObjectHeaders(new Map([['content-encoding', sent]]));
    expect(headers.contentEncoding).toBe(kept);
  });

  it('are bounded, names and values together', () => {
    const put = (valueBytes: number): unknown =>
      parseObjectHeaders(new Map([['x-amz-meta-name', 'x'.repeat(valueBytes)]]));
    expect(() => put(USER_METADATA_BYTES_MAX - 4)).not.toThrow();
    const error = refusal(() => put(USER_METADATA_BYTES_MAX - 3));
    expect(error.code).toBe('MetadataTooLarge');
    expect(error.detail.fields).toEqual({ Size: '2049', MaxSizeAllowed: '2048' });
  });

  it('have names that are bounded too', () => {
    const put = (nameBytes: number): unknown =>
      parseObjectHeaders(new Map([[`x-amz-meta-${'n'.repeat(nameBytes)}`, '']]));
    expect(() => put(USER_METADATA_NAME_BYTES_MAX)).not.toThrow();
    expect(refusal(() => put(USER_METADATA_NAME_BYTES_MAX + 1)).code).toBe('MetadataTooLarge');
  });

  it('are bounded one by one', () => {
    const long = new Map([['cache-control', 'x'.repeat(KEPT_HEADER_BYTES_MAX + 1)]]);
    expect(refusal(() => parseObjectHeaders(long)).code).toBe('RequestHeaderSectionTooLarge');
  });
});

describe('response-* parameters', () => {
  const render = (query: string): Record<string, string> =>
    renderObjectHeaders({ contentType: 'text/plain', userMetadata: [] }, Query.parse(query));

  it('override what was kept', () => {
    const query =
      'response-content-type=image%2Fpng&response-cache-control=a&response-content-disposition=b' +
      '&response-content-encoding=c&response-content-language=d&response-expires=e&x=y';
    expect(render(query)).toEqual({
      'content-type': 'image/png',
      'cache-control': 'a',
      'content-disposition': 'b',
      'content-encoding': 'c',
      'content-language': 'd',
      expires: 'e',
    });
  });

  it('override nothing where they are empty', () => {
    expect(render('response-content-type=')).toEqual({ 'content-type': 'text/plain' });
  });

  it('go out as bytes of UTF-8', () => {
    const headers = render('response-content-disposition=gr%C3%BCn');
    expect(Buffer.from(headers['content-disposition'] ?? '', 'latin1').toString()).toBe('grün');
  });

  it('cannot smuggle a header in', () => {
    for (const evil of ['a%0d%0ax-evil:%201', '%00', 'a%7f']) {
      expect(refusal(() => render(`response-content-type=${evil}`)).code).toBe('InvalidArgument');
    }
  });
});
