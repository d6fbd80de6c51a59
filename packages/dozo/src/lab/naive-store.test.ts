import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { formatNaiveStore, NaiveStore } from './naive-store.ts';
import { auditRecords, recordValue } from './records.ts';
import type { Audit } from './records.ts';

const STORE_BYTES = 4 * 2 ** 20;
const RECORD_BYTES = 1_000;
let directory: string;
let path: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'dozo-naive-store-'));
  path = join(directory, 'disk');
  writeFileSync(path, '');
  truncateSync(path, STORE_BYTES);
  await formatNaiveStore(path);
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function put(store: NaiveStore, key: string, version: number): Promise<void> {
  await store.put(key, recordValue({ key, version }, RECORD_BYTES));
}

async function audit(versions: ReadonlyMap<string, number>): Promise<Audit> {
  const store = await NaiveStore.open(path, STORE_BYTES);
  const expected = [...versions].map(([key, version]) => ({
    key,
    minVersion: version,
    maxVersion: version,
  }));
  const found = await auditRecords(expected, RECORD_BYTES, (key) => store.get(key));
  await store.close();
  return found;
}

test('one daemon that is gone after any put leaves every acknowledged record', async () => {
  const versions = new Map<string, number>();
  for (let round = 1; round <= 3; round += 1) {
    const store = await NaiveStore.open(path, STORE_BYTES);
    for (let index = 0; index < 100; index += round) {
      await put(store, `a-${index}`, round);
      versions.set(`a-${index}`, round);
    }
    await store.close();
    expect(await audit(versions)).toMatchObject({ intactCount: 100, expectedCount: 100 });
  }
});

test('two daemons that take turns lose and damage what both acknowledged', async () => {
  const versions = new Map<string, number>();
  const first = await NaiveStore.open(path, STORE_BYTES);
  for (let index = 0; index < 50; index += 1) {
    await put(first, `a-${index}`, 1);
    versions.set(`a-${index}`, 1);
  }
  const second = await NaiveStore.open(path, STORE_BYTES);
  for (let index = 0; index < 50; index += 1) {
    await put(first, `a-${index}`, 2);
    versions.set(`a-${index}`, 2);
    await put(second, `b-${index}`, 1);
    versions.set(`b-${index}`, 1);
  }
  await first.close();
  await second.close();
  const found = await audit(versions);
  expect(found.intactCount).toBeLessThan(found.expectedCount);
  expect(found.damagedCount + found.staleCount).toBeGreaterThan(0);
  expect(found.lostCount + found.staleCount).toBeGreaterThan(0);
});
