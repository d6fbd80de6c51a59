/**
 * Writes XML as S3 does: elements in a row, no attributes but the namespace.
 *
 * Keys may hold characters that XML 1.0 has no place for (control characters, U+FFFE, U+FFFF). They
 * are written as references all the same, as Amazon does; a client that cannot read them asks for
 * `encoding-type=url`.
 */

/** What an element may hold; undefined leaves the element out. */
export type XmlValue = string | number | boolean | undefined;

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
/** Tab and line feed too: a parser may fold or normalise them. */
const SPECIAL = /[&<>"'\0-\x1f\x7f-\x9f\u2028\ufffe\uffff]/;
const SPECIAL_ALL = /[&<>"'\0-\x1f\x7f-\x9f\u2028\ufffe\uffff]/g;
const NAMED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** A whole document with S3's namespace; `content` is XML. */
export function document(root: string, content: string): string {
  return plainDocument(`${root} xmlns="${NAMESPACE}"`, root, content);
}

/** A whole document without a namespace: errors. */
export function bareDocument(root: string, content: string): string {
  return plainDocument(root, root, content);
}

/** An element that holds text; nothing for undefined. */
export function element(name: string, value: XmlValue): string {
  if (value === undefined) return '';
  return `<${name}>${typeof value === 'string' ? escapeText(value) : String(value)}</${name}>`;
}

/** An element that holds other elements. */
export function group(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}

/** The entity tag as documents show it, with quotes. */
export function etagElement(etag: string): string {
  return `<ETag>&quot;${escapeText(etag)}&quot;</ETag>`;
}

function plainDocument(opening: string, root: string, content: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${opening}>${content}</${root}>`;
}

function escapeText(text: string): string {
  return SPECIAL.test(text) ? text.replace(SPECIAL_ALL, escapeCharacter) : text;
}

function escapeCharacter(character: string): string {
  return NAMED[character] ?? `&#x${character.charCodeAt(0).toString(16)};`;
}
