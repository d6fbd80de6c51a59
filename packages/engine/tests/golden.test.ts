/**
 * Golden files of the device format: fixed structures, byte for byte. A difference means that the
 * format has changed, which after a release needs a new version and a migration. The files are
 * written anew by `DOZO_WRITE_GOLDEN=1 npx vitest run packages/engine/tests/golden.test.ts`.
 */
import { concatBytes, crc32c } from '@dozo/base';
import { test } from 'vitest';
import { encodeCounters, encodeSegmentRows, encodeTables } from '../src/checkpoint-page.ts';
import type { Fence, ZombieNote } from '../src/claim-history.ts';
import { planGeometry } from '../src/geometry.ts';
import { GroupBuilder } from '../src/group.ts';
import { encodeManifest } from '../src/manifest.ts';
import { valueChecksums } from '../src/record.ts';
import type { RecordType } from '../src/record.ts';
import { encodeSegmentHeader } from '../src/segment-header.ts';
import { encodeSuperblock } from '../src/superblock.ts';
import { tableSeedOf } from '../src/table/table-format.ts';
import type { TableMeta } from '../src/table/table-meta.ts';
import { expectGolden } from './golden-file.ts';
import { bytes } from './simulated-engine.ts';

const deviceId = Uint8Array.from({ length: 16 }, (_, index) => 0xd0 + index);
const nonce = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
const identity = { incarnation: 5, nonce };
const seed = crc32c(nonce);
const WALL_MS = 1_795_000_000_000;

function superblock(): Uint8Array {
  const geometry = planGeometry(20 * 1024 ** 3);
  if ('neededBytes' in geometry) throw new Error('20 GiB are enough');
  const times = { beatIntervalMs: 1000, leaseMs: 5000, isLocal: true, createdWallMs: WALL_MS };
  return encodeSuperblock({ deviceId, geometry, ...times });
}

const fenced = {
  host: 'storage-2',
  podName: 'dozo-osd-3-0',
  processId: 1207,
  sinceWallMs: WALL_MS - 9000,
  by: identity,
  fencedWallMs: WALL_MS - 10,
};
const fence: Fence = {
  ...fenced,
  identity: { incarnation: 4, nonce: nonce.map((byte) => byte ^ 0xf0) },
  segment: 6,
  ordinal: 41,
  end: 1_048_576,
  segments: [6, 12, 13],
};
const note: ZombieNote = {
  ...fenced,
  identity: { incarnation: 3, nonce: nonce.map((byte) => byte ^ 0x50) },
  proof: 'stopped',
  notedWallMs: WALL_MS - 5,
  groupCount: 2,
  recordCount: 7,
  bytes: 8192,
  firstWallMs: WALL_MS - 900,
  lastWallMs: WALL_MS - 700,
  keys: [bytes('a key of a zombie')],
};

/** A table of the next segment of the golden files; what a table looks like is in `table.txt`. */
function tableMeta(): TableMeta {
  return {
    number: 300,
    segment: 8,
    ordinal: 299,
    offset: 4096,
    seed: tableSeedOf(seed, 300),
    sizeBytes: 8192,
    filter: { offset: 4700, sizeBytes: 68 },
    ranges: undefined,
    index: { offset: 4768, sizeBytes: 200 },
    entryCount: 19,
    deleteCount: 1,
    pointerCount: 16,
    rangeCount: 0,
    dataBytes: 4317,
    lsnMax: 128,
    smallest: 'bucket',
    end: 'deleted\0',
  };
}

/** The header of a segment of tables: nothing before it in the log. */
function tablesHeader(): Uint8Array {
  return encodeSegmentHeader({ deviceId, segment: 8, ordinal: 299, identity }, 'tables');
}

function segment(): Uint8Array {
  const previous = { segment: 6, ordinal: 41, end: 1_048_576 };
  const header = encodeSegmentHeader({ deviceId, segment: 7, ordinal: 42, identity, previous });
  const manifest = encodeManifest({
    nextLsn: 100,
    nextOrdinal: 43,
    checkpoint: 3,
    pages: [{ segment: 6, ordinal: 41, offset: 8192, valueBytes: 61 }],
    parts: [{ segment: 6, ordinal: 41, identity, start: 4096, end: 1_048_576, firstGroup: 0 }],
    history: { fences: [fence], notes: [note] },
  });
  const builder = new GroupBuilder(4096);
  builder.begin();
  const add = (type: RecordType, key: string, value: Uint8Array, lsn: number): void => {
    const checksums = valueChecksums(value, seed);
    builder.add({ type, key: bytes(key), value, checksums, lsn }, seed);
  };
  add(3, '', manifest, 100);
  add(1, 'a key', bytes('and a value'), 100);
  add(2, 'another key', new Uint8Array(0), 101);
  add(5, 'bucket/upload/', bytes('bucket/upload0'), 102);
  add(4, '', encodeCounters({ keyCount: 17, nextTableNumber: 301 }), 4);
  const row = { segment: 6, ordinal: 41, seed, end: 1_048_576, liveBytes: 16_777_640 };
  add(4, '', encodeSegmentRows([row]), 4);
  add(4, '', encodeTables([{ level: 6, run: 0, meta: tableMeta() }], 0, 4096).page, 4);
  const place = { segment: 7, offset: 4096, segmentOrdinal: 42, index: 0, wallMs: WALL_MS };
  return concatBytes([header, ...builder.finish(place, seed)]);
}

test.each([
  ['superblock', superblock],
  ['segment', segment],
  ['segment-of-tables', tablesHeader],
])('%s: byte for byte what its golden file says', (name, make) => {
  expectGolden(name, make());
});
