/** Compares a structure with its golden file in docs/formats/golden. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { binaryStringOf } from '@dozo/base';
import { expect } from 'vitest';

/** Expects the golden file `name` to show `content`; with DOZO_WRITE_GOLDEN=1 it is written first. */
export function expectGolden(name: string, content: Uint8Array): void {
  const file = fileURLToPath(new URL(`../../../docs/formats/golden/${name}.txt`, import.meta.url));
  const found = dump(content);
  if (process.env['DOZO_WRITE_GOLDEN'] === '1') writeFileSync(file, found);
  expect(found).toBe(readFileSync(file, 'utf8'));
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
