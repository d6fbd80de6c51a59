/** SVG as strings: elements whose attributes and texts cannot break out. Pure. */

/** Values of attributes; numbers are rounded to a tenth of a pixel. */
export type Attributes = Readonly<Record<string, string | number>>;

/** An element without content, or with content that is SVG already. */
export function element(name: string, attributes: Attributes, content?: string): string {
  const written = Object.entries(attributes)
    .map(
      ([key, value]) =>
        ` ${key}="${escapeXml(typeof value === 'number' ? rounded(value) : value)}"`,
    )
    .join('');
  return content === undefined ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

/** A text element; the text may hold anything. */
export function text(attributes: Attributes, content: string): string {
  return element('text', attributes, escapeXml(content));
}

/** What is shown when a pointer rests on an element. */
export function tooltip(content: string): string {
  return element('title', {}, escapeXml(content));
}

/** Text for XML: what has a meaning there is escaped, what may not stand there at all is replaced. */
function escapeXml(content: string): string {
  return content
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A coordinate for a path, to a tenth of a pixel. */
export function rounded(value: number): string {
  return String(Math.round(value * 10) / 10);
}
