import { SeededRandom } from '@dozo/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway } from './gateway-harness.ts';
import type { Harness } from './gateway-harness.ts';
import { elementOf, elementsOf } from './s3-client.ts';

let harness: Harness;
const KEYS = makeKeys();

beforeAll(async () => {
  harness = await startGateway();
  await harness.client.put('/bucket', '');
  await Promise.all(
    KEYS.map((key) => harness.client.put(`/bucket/${encodeURIComponent(key)}`, key)),
  );
  await harness.client.put('/empty', '');
});

afterAll(async () => {
  await harness.stop();
});

/** Keys that share prefixes and differ where bytes and UTF-16 units sort differently. */
function makeKeys(): string[] {
  const random = new SeededRandom('keys');
  const pieces = ['a', 'b', '/', '/', '-', 'aa', '\u00e9', '\ud83d\ude00', '\uffee', ' ', '%', '+'];
  const keys = new Set<string>(['a/', 'a', 'b/b/b']);
  while (keys.size < 150) {
    let key = '';
    for (let count = random.below(6) + 1; count > 0; count -= 1) key += random.pick(pieces);
    keys.add(key);
  }
  return sorted([...keys]);
}

function sorted(keys: readonly string[]): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

interface Rows {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

/** What a listing of everything has to be. */
function model(prefix: string, delimiter: string, marker: string): Rows {
  const keys: string[] = [];
  const prefixes = new Set<string>();
  for (const key of KEYS) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? undefined : key.slice(0, at + delimiter.length);
    const name = common ?? key;
    if (Buffer.compare(Buffer.from(name), Buffer.from(marker)) <= 0) continue;
    if (common === undefined) keys.push(key);
    else prefixes.add(common);
  }
  return { keys, prefixes: [...prefixes] };
}

type Dialect = 'v1' | 'v2' | 'versions';

/** Lists everything by pages. */
async function list(
  dialect: Dialect,
  input: { prefix: string; delimiter: string; marker: string; rows: number },
): Promise<Rows> {
  const keys: string[] = [];
  const prefixes: string[] = [];
  const start = { v1: 'marker', v2: 'start-after', versions: 'key-marker' }[dialect];
  let from = input.marker === '' ? '' : `&${start}=${encodeURIComponent(input.marker)}`;
  for (;;) {
    const query =
      `encoding-type=url&max-keys=${String(input.rows)}&prefix=${encodeURIComponent(input.prefix)}` +
      `&delimiter=${encodeURIComponent(input.delimiter)}${from}` +
      { v1: '', v2: '&list-type=2', versions: '&versions' }[dialect];
    const page = await harness.client.get('/bucket', {}, query);
    expect(page.status, page.text).toBe(200);
    const pageKeys = elementsOf(page.text, 'Key').map(decode);
    const pagePrefixes = [...page.text.matchAll(/<CommonPrefixes><Prefix>([^<]*)<\/Prefix>/g)].map(
      (match) => decode(match[1] ?? ''),
    );
    expect(pageKeys.length + pagePrefixes.length).toBeLessThanOrEqual(input.rows);
    keys.push(...pageKeys);
    prefixes.push(...pagePrefixes);
    if (elementOf(page.text, 'IsTruncated') !== 'true') break;
    const next = (name: string): string => decode(elementOf(page.text, name) ?? '');
    if (dialect === 'v2') {
      from = `&continuation-token=${encodeURIComponent(elementOf(page.text, 'NextContinuationToken') ?? '')}`;
    } else if (dialect === 'versions') {
      from = `&key-marker=${encodeURIComponent(next('NextKeyMarker'))}`;
    } else {
      const marker = input.delimiter === '' ? (pageKeys.at(-1) ?? '') : next('NextMarker');
      from = `&marker=${encodeURIComponent(marker)}`;
    }
  }
  return { keys, prefixes };
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

describe.each(['v1', 'v2', 'versions'] as const)('listing %s', (dialect) => {
  it('gives every key once, in byte order, by pages of any length', async () => {
    for (const rows of [1, 7, 1000]) {
      const { keys } = await list(dialect, { prefix: '', delimiter: '', marker: '', rows });
      expect(keys).toEqual(KEYS);
    }
  });

  it('agrees with the model for any prefix, delimiter and marker', async () => {
    const random = new SeededRandom(dialect);
    for (let round = 0; round < 60; round += 1) {
      const prefix = random.pick(['', '', 'a', 'a/', 'b/', '\u00e9', '/', 'zz', '%']);
      const delimiter = random.pick(['', '/', '/', 'a', '//', '\u00e9', '-']);
      const markers = ['', '', random.pick(KEYS), 'a/', 'b', '\uffff'];
      const marker = random.pick(markers);
      const rows = random.pick([1, 2, 5, 1000]);
      const input = { prefix, delimiter, marker, rows };
      expect(await list(dialect, input), JSON.stringify(input)).toEqual(
        model(prefix, delimiter, marker),
      );
    }
  });
});

describe('listing', () => {
  it('of no rows is empty and not truncated', async () => {
    const page = await harness.client.get('/bucket', {}, 'list-type=2&max-keys=0');
    expect(elementOf(page.text, 'KeyCount')).toBe('0');
    expect(elementOf(page.text, 'IsTruncated')).toBe('false');
  });

  it('of an empty bucket is empty', async () => {
    const page = await harness.client.get('/empty', {}, 'list-type=2');
    expect(elementOf(page.text, 'KeyCount')).toBe('0');
  });

  it('refuses what is longer than a key, also in a token', async () => {
    const long = 'x'.repeat(1025);
    const prefixed = await harness.client.get('/bucket', {}, `list-type=2&prefix=${long}`);
    expect(prefixed.code).toBe('KeyTooLongError');
    const uploads = await harness.client.get('/bucket', {}, `uploads&key-marker=${long}`);
    expect(uploads.code).toBe('KeyTooLongError');
    const token = Buffer.from(`1${long}`).toString('base64url');
    const query = `list-type=2&continuation-token=${token}`;
    expect((await harness.client.get('/bucket', {}, query)).code).toBe('InvalidArgument');
  });

  it('refuses a token that it did not give', async () => {
    for (const token of ['nonsense', 'MQ', '%20', 'MWE%3D']) {
      const query = `continuation-token=${token}&list-type=2`;
      const refused = await harness.client.get('/bucket', {}, query);
      expect(refused.code, token).toBe('InvalidArgument');
    }
  });

  it('names the owner where it is asked for', async () => {
    const plain = await harness.client.get('/bucket', {}, 'list-type=2&max-keys=1');
    expect(plain.text).not.toContain('<Owner>');
    const owned = await harness.client.get(
      '/bucket',
      {},
      'fetch-owner=true&list-type=2&max-keys=1',
    );
    expect(owned.text).toContain('<Owner>');
    expect((await harness.client.get('/bucket', {}, 'max-keys=1')).text).toContain('<Owner>');
  });

  it('of buckets goes by pages', async () => {
    const page = await harness.client.get('/', {}, 'max-buckets=1');
    expect(elementsOf(page.text, 'Name')).toEqual(['bucket']);
    const token = elementOf(page.text, 'ContinuationToken') ?? '';
    const next = await harness.client.get('/', {}, `continuation-token=${token}&max-buckets=1`);
    expect(elementsOf(next.text, 'Name')).toEqual(['empty']);
  });
});
