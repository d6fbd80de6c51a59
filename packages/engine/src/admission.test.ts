import { describe, expect, test } from 'vitest';
import { Admission } from './admission.ts';
import type { QueueLoad } from './admission.ts';
import { Catalog } from './catalog.ts';
import { limitsOf, planGeometry } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { TreeEntry } from './tree/tree-entry.ts';

const MIB = 1024 * 1024;
const NOTHING: QueueLoad = { batchCount: 0, bytes: 0, chargeBytes: 0 };

function smallGeometry(): Geometry {
  const geometry = planGeometry(16 * MIB, { segmentPayloadBytes: MIB / 2 });
  if (!('segmentCount' in geometry)) throw new Error('too small');
  return geometry;
}

describe('a look at what a batch replaces', () => {
  test('keeps what it reads from being written again until it has ended', async () => {
    const geometry = smallGeometry();
    const catalog = new Catalog(geometry.segmentCount);
    const { segments } = catalog;
    segments.finishRecovery(new Set(), new Set());
    const [segment = 0] = segments.reserve(1);
    segments.open(segment, 1, 0, 'tables');
    segments.addTable(segment, 100);
    segments.close(segment, 4096);
    const states: boolean[] = [];
    const admission = new Admission({
      path: 'test',
      geometry,
      limits: limitsOf(geometry),
      catalog,
      lookUp: async () => {
        await Promise.resolve();
        // The table that is being read goes: its segment must not become free.
        if (segments.retiredCount === 0) segments.removeTable(segment, 100);
        states.push(segments.retiredCount === 1);
        await Promise.resolve();
        return TreeEntry.delete(1);
      },
      settle: () => Promise.resolve(),
      makeSpace: () => Promise.resolve(),
      seed: 0,
    });
    const put = { kind: 'put', key: Uint8Array.of(1), value: Uint8Array.of(2) } as const;
    const checked = admission.check([put], NOTHING);
    await admission.lookForSpace(checked, () => NOTHING);
    expect(states).toEqual([true]);
    expect(segments.retiredCount, 'and then it is free').toBe(0);
  });
});
