import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { S3Error } from '../errors.ts';
import { XML_DEPTH_MAX, XML_ELEMENTS_MAX } from '../limits.ts';
import { childText, readXml } from './xml-reader.ts';
import { document, element, group } from './xml-writer.ts';

function reason(body: string | Uint8Array): string {
  const error = refusal(() => readXml(Buffer.from(body as string), 'a'));
  expect([error.code, error.status]).toEqual(['MalformedXML', 400]);
  return error.detail.fields['Reason'] ?? '';
}

describe('readXml', () => {
  it('reads elements and text, with or without namespace, declaration, comments, CDATA', () => {
    const body =
      '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!-- note -->\n' +
      '<s3:a xmlns:s3="x" y="z">\n <b>one &amp; &#x1;<![CDATA[<two>]]></b>\n <c/></s3:a>\n';
    const root = readXml(Buffer.from(body), 'a');
    expect(root.children).toEqual([
      { name: 'b', text: 'one & \x01<two>', children: [] },
      { name: 'c', text: '', children: [] },
    ]);
    expect(childText(root, 'b')).toBe('one & \x01<two>');
    expect(childText(root, 'd')).toBeUndefined();
  });

  it.each([
    ['', 'nothing'],
    [' ', 'blank'],
    ['<a>', 'an open element'],
    ['<a></b>', 'the wrong end'],
    ['<a><b></a></b>', 'crossed elements'],
    ['<a/><a/>', 'two roots'],
    ['<a/>text', 'text behind'],
    ['text<a/>', 'text before'],
    ['<b/>', 'another root'],
    ['<a>text<b/></a>', 'text between elements'],
    ['<a>&undefined;</a>', 'an unknown entity'],
    ['<a>&nbsp;</a>', 'an entity of HTML'],
    ['<a>&constructor;</a>', 'a name of the language'],
    ['<a>&__proto__;</a>', 'another one'],
    ['<a>&#xd800;</a>', 'half a character'],
    ['<a>&#x110000;</a>', 'no character'],
    ['<a>& b</a>', 'a bare ampersand'],
    ['<a x=1/>', 'a bare attribute'],
    ['{"a": 1}', 'JSON'],
  ])('refuses %j: %s', (body) => {
    expect(reason(body)).not.toBe('');
  });

  it('refuses a document type, and so entities of any kind', () => {
    const bomb = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]><a>&z;</a>';
    expect(reason(bomb)).toBe('a document type is not allowed');
    const external = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>';
    expect(reason(external)).toBe('a document type is not allowed');
  });

  it('refuses depth beyond its bound', () => {
    const nested = (depth: number): string =>
      `<a>${'<b>'.repeat(depth - 1)}${'</b>'.repeat(depth - 1)}</a>`;
    expect(readXml(Buffer.from(nested(XML_DEPTH_MAX)), 'a').name).toBe('a');
    expect(reason(nested(XML_DEPTH_MAX + 1))).toBe('it is too deep');
    expect(reason('<a>'.repeat(100_000))).toBe('it is too deep');
  });

  it('refuses more elements than any document needs', () => {
    const many = (count: number): string => `<a>${'<b/>'.repeat(count - 1)}</a>`;
    expect(readXml(Buffer.from(many(XML_ELEMENTS_MAX)), 'a').name).toBe('a');
    expect(reason(many(XML_ELEMENTS_MAX + 1))).toBe('it has too many elements');
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(reason(Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e]))).toBe(
      'it is not UTF-8',
    );
  });

  it('reads characters that XML has no place for, as references or as they are', () => {
    const text = readXml(Buffer.from('<a>&#0;&#1;&#x01;&#X1F;&#xFFFE;\x01</a>'), 'a').text;
    expect(text).toBe('\0\x01\x01\x1f\ufffe\x01');
  });

  it('reads text longer than the buffer of its parser', () => {
    const text = 'x'.repeat(200_000);
    expect(readXml(Buffer.from(`<a>${text}</a>`), 'a').text).toBe(text);
  });

  it('refuses what stands twice, or holds elements, where one text should be', () => {
    const twice = readXml(Buffer.from('<a><b>1</b><b>2</b><c><d/></c></a>'), 'a');
    expect(refusal(() => childText(twice, 'b')).code).toBe('MalformedXML');
    expect(refusal(() => childText(twice, 'c')).code).toBe('MalformedXML');
  });

  it('reads back whatever is written, control characters too', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (texts) => {
        const xml = document('a', group('b', texts.map((text) => element('c', text)).join('')));
        const root = readXml(Buffer.from(xml), 'a');
        expect(root.children[0]?.children.map(({ text }) => text)).toEqual(texts);
      }),
    );
  });

  it('never fails otherwise, whatever comes', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '<a>',
        '</a>',
        '<',
        '&',
        '&#',
        ';',
        '<!',
        '<![CDATA[',
        ']]>',
        '<?',
        '?>',
        '--',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 15 }), (pieces) => {
        try {
          readXml(Buffer.from(pieces.join('')), 'a');
        } catch (error) {
          expect(error).toBeInstanceOf(S3Error);
        }
      }),
      { numRuns: 500 },
    );
  });
});
