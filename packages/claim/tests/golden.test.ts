/**
 * Golden files of the claim area: fixed structures, byte for byte. A difference means that the format
 * has changed, which after a release needs a new version and a migration. The files are written anew by
 * `DOZO_WRITE_GOLDEN=1 npx vitest run packages/claim/tests/golden.test.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { binaryStringOf } from '@dozo/base';
import { expect, test } from 'vitest';
import { encodeClaimFileHeader } from '../src/index.ts';
import { encodeSlot } from '../src/slot.ts';

const deviceId = Uint8Array.from({ length: 16 }, (_, index) => 0xd0 + index);
const nonce = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
const other = Uint8Array.from({ length: 16 }, (_, index) => 0xb0 + index);
const WALL_MS = 1_795_000_000_000;

function slot(): Uint8Array {
  return encodeSlot(
    {
      deviceId,
      identity: { incarnation: 5, nonce },
      writeCounter: 42,
      state: 'held',
      holder: {
        host: 'storage-3',
        bootId: '5ad0d5ab-3b5f-4f5e-9a8e-0f6c2a1d7b11',
        machineId: '0123456789abcdef0123456789abcdef',
        processId: 4711,
        name: 'osd 3',
        podName: 'dozo-osd-3-0',
        podUid: '0d9c1f5e-9a44-4cf7-8f8b-5a2c3c1e9d10',
        softwareVersion: '0.1.0',
      },
      lockIdentity: { kind: 'block', name: '8:16' },
      beatCounter: 41,
      beatIntervalMs: 1000,
      sinceWallMs: WALL_MS,
      lastWallMs: WALL_MS + 40_000,
      checkpoint: { segment: 7, segmentOrdinal: 42, groupOffset: 8_458_240 },
      logEnd: { segment: 7, segmentOrdinal: 42, offset: 8_462_336 },
      failedFlush: { wallMs: WALL_MS, cause: 'EIO' },
      account: {
        quarantined: [{ incarnation: 3, nonce: other }],
        deaths: [{ identity: { incarnation: 4, nonce: other }, proof: 'kernel' }],
      },
      reservation: [7, 8, 9, 10],
    },
    6,
  );
}

function claimFile(): Uint8Array {
  return encodeClaimFileHeader({
    place: { offset: 65_536, slotCount: 1024, deviceId },
    settings: { beatIntervalMs: 1000, leaseMs: 5000, isLocal: true },
    createdWallMs: WALL_MS,
  });
}

/** Sixteen bytes a line; lines of zeros are left out. */
function dump(content: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < content.length; at += 16) {
    const line = content.subarray(at, at + 16);
    if (line.every((byte) => byte === 0)) continue;
    const hex = Array.from(line, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = binaryStringOf(line).replaceAll(/[^ -~]/g, '.');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex}  ${text}`.trimEnd());
  }
  return `${lines.join('\n')}\n${content.length.toString(16).padStart(6, '0')}\n`;
}

test.each([
  ['claim-slot', slot],
  ['claim-file', claimFile],
])('the %s is byte for byte what its golden file says', (name, make) => {
  const file = fileURLToPath(new URL(`../../../docs/formats/golden/${name}.txt`, import.meta.url));
  const found = dump(make());
  if (process.env['DOZO_WRITE_GOLDEN'] === '1') writeFileSync(file, found);
  expect(found).toBe(readFileSync(file, 'utf8'));
});
