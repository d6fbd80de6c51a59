/**
 * Reads a small XML document into a tree: elements and text, nothing else.
 *
 * The parser is `sax` in strict mode (decision 0031). What S3 has no use for is refused, because it
 * is either a mistake or an attack: a document type and so every entity but the five of XML and
 * numbers, depth beyond a bound, text between elements. Namespaces are ignored: clients send S3's,
 * none, or a wrong one. Numeric references to control characters are let through, since keys hold them.
 */
import sax from 'sax';
import { S3Error } from '../errors.ts';
import { XML_DEPTH_MAX, XML_ELEMENTS_MAX } from '../limits.ts';

/** An element: children or text, never both. */
export interface XmlElement {
  /** Without namespace prefix. */
  readonly name: string;
  /** Empty where there are children. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });
/** The option is missing in the published types; without it every entity of HTML is known. */
const OPTIONS: sax.SAXOptions & { readonly strictEntities: boolean } = {
  position: false,
  strictEntities: true,
};
/**
 * The entities that are known: the five of XML, and references to the characters that XML 1.0 has no
 * place for and keys of S3 may hold. In place of the parser's own table, which knows neither these nor
 * that `&constructor;` is no entity.
 */
const ENTITIES = makeEntities();
const BLANK = /^[ \t\r\n]*$/;

/**
 * Reads a document whose root has the given name.
 *
 * @throws S3Error `MalformedXML` for whatever is not such a document.
 */
export function readXml(body: Uint8Array, rootName: string): XmlElement {
  const root = parse(decode(body));
  if (root.name !== rootName) {
    throw malformed(`the root is ${root.name} and should be ${rootName}`);
  }
  return root;
}

/** The text of the one child of that name; undefined without one. @throws S3Error `MalformedXML` */
export function childText(element: XmlElement, name: string): string | undefined {
  const [child, second] = element.children.filter((candidate) => candidate.name === name);
  if (child === undefined) return undefined;
  if (second !== undefined) throw malformed(`${name} stands twice in ${element.name}`);
  if (child.children.length > 0) throw malformed(`${name} should hold text`);
  return child.text;
}

/** The error for a document that is not what it should be. */
export function malformed(why: string): S3Error {
  return new S3Error('MalformedXML', { fields: { Reason: why } });
}

function decode(body: Uint8Array): string {
  try {
    return UTF8.decode(body);
  } catch {
    throw malformed('it is not UTF-8');
  }
}

function parse(text: string): XmlElement {
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  let elementCount = 0;
  const parser: sax.SAXParser & { ENTITIES?: unknown } = sax.parser(true, OPTIONS);
  parser.ENTITIES = ENTITIES;
  parser.onerror = (error) => {
    throw malformed(error.message.split('\n', 1)[0] ?? 'it is not well-formed');
  };
  parser.ondoctype = () => {
    throw malformed('a document type is not allowed');
  };
  parser.onopentag = ({ name }) => {
    if (root !== undefined) throw malformed('it has two roots');
    elementCount++;
    if (elementCount > XML_ELEMENTS_MAX) throw malformed('it has too many elements');
    if (open.length >= XML_DEPTH_MAX) throw malformed('it is too deep');
    open.push({ name: name.slice(name.indexOf(':') + 1), text: '', children: [] });
  };
  const onText = (piece: string): void => {
    const current = open.at(-1);
    if (current !== undefined) current.text += piece;
  };
  parser.ontext = onText;
  parser.oncdata = onText;
  parser.onclosetag = () => {
    const closed = open.pop() as OpenElement;
    if (closed.children.length > 0) {
      if (!BLANK.test(closed.text)) throw malformed(`text between the elements of ${closed.name}`);
      closed.text = '';
    }
    const parent = open.at(-1);
    if (parent === undefined) root = closed;
    else parent.children.push(closed);
  };
  parser.write(text).close();
  if (root === undefined) throw malformed('it is empty');
  return root;
}

function makeEntities(): Readonly<Record<string, string>> {
  const entities = Object.assign(Object.create(null) as Record<string, string>, {
    amp: '&',
    apos: "'",
    gt: '>',
    lt: '<',
    quot: '"',
  });
  for (const code of [...Array(0x20).keys(), 0xfffe, 0xffff]) {
    const hex = code.toString(16);
    for (const digits of [String(code), `x${hex}`, `x${hex.padStart(2, '0')}`]) {
      entities[`#${digits}`] = String.fromCharCode(code);
    }
  }
  return Object.freeze(entities);
}
