/** Repair where range deletes were damaged: what they deleted comes back, and is told. */
import { binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import type { SimulatedMedium } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { FaultLife, blockKindOf } from './fault-life.ts';
import { AREA, ROOMY_MEMTABLE_BYTES, runCountsOf } from './repair-disks.ts';
import { contentOf, repairAndCheck } from './repair-run.ts';
import type { Content } from './repair-run.ts';
import { writtenBlocks } from './rot-run.ts';

const FROM = 'key 20';
const TO = 'key 60 and up to here';

/** A disk with a range delete over tables: in the log, or in a table as well. */
async function diskWithRange(
  where: 'log' | 'table',
): Promise<{ readonly medium: SimulatedMedium; readonly before: Content }> {
  const life = new FaultLife({ seed: `range in ${where}`, memtableBytes: ROOMY_MEMTABLE_BYTES });
  const medium = await life.format();
  const first = await life.open(medium);
  const keys = Array.from({ length: 90 }, (_, index) => bytesOfBinaryString(`key ${10 + index}`));
  for (let at = 0; at < keys.length; at += 30) {
    const value = new Uint8Array(60).fill(at);
    await first.engine.apply(keys.slice(at, at + 30).map((key) => ({ kind: 'put', key, value })));
  }
  await first.engine.close();
  await first.device.close();
  const { engine, device } = await life.open(medium);
  const [from, to] = [FROM, TO].map(bytesOfBinaryString) as [Uint8Array, Uint8Array];
  await engine.apply([{ kind: 'delete-range', from, to }]);
  const put = (key: string): Promise<number> =>
    engine.apply([
      { kind: 'put', key: bytesOfBinaryString(key), value: new Uint8Array(50).fill(7) },
    ]);
  // Behind it, so that it is not the last group, and inside of it, which hides nothing of it.
  for (const key of ['key 25', 'zz 1', 'zz 2']) await put(key);
  if (where === 'table') await engine.close();
  // The range delete, where it is in a table, stands above the run of what it deletes.
  expect(runCountsOf(engine)?.[0]).toBe(where === 'table' ? 2 : 1);
  device.halt();
  return { medium, before: await contentOf(medium) };
}

/** Offsets on the disk at which some bytes stand. */
function findAll(medium: SimulatedMedium, text: string): number[] {
  const disk = Buffer.from(medium.peek(0, medium.sizeBytes));
  const found: number[] = [];
  for (let at = disk.indexOf(text); at >= 0; at = disk.indexOf(text, at + 1)) found.push(at);
  return found;
}

const cameBack = async (medium: SimulatedMedium, before: Content): Promise<string[]> => {
  const after = await contentOf(medium);
  return [...after.keys()].filter((name) => !before.has(name));
};

test('in the log: the place is listed with one record lost', async () => {
  const { medium, before } = await diskWithRange('log');
  const group = writtenBlocks(medium).find((block) =>
    blockKindOf(medium, block, AREA).endsWith('delete-range'),
  );
  if (group === undefined) throw new Error('there is a group with the range delete');
  const end = findAll(medium, TO).find((at) => at > group && at < group + 4096);
  if (end === undefined) throw new Error('the end of the range stands in its record');
  // Its value alone; with the header of the group; with the end of the record's head.
  for (const damages of [[end], [end, group + 8], [group + 8, group + 70]]) {
    const fork = medium.fork();
    for (const at of damages) fork.corrupt(at, 4);
    const plan = await repairAndCheck(fork, before);
    expect(plan?.logLosses.length).toBe(1);
    expect(plan?.logLosses[0]?.lostCount).not.toBe(0);
    expect((await cameBack(fork, before)).length).toBeGreaterThan(30);
  }
});

test('in a table: the keys that come back are listed by name', async () => {
  const { medium, before } = await diskWithRange('table');
  let hitCount = 0;
  for (const at of findAll(medium, TO)) {
    const fork = medium.fork();
    fork.corrupt(at + 3, 4);
    const plan = await repairAndCheck(fork, before);
    const lost = plan?.lostKeys ?? [];
    if (!lost.some(({ hasEntries }) => !hasEntries)) continue;
    hitCount++;
    const names = plan?.resurfaced.map(({ key }) => binaryStringOf(key));
    // Where the range ended is not known: all that shows from older tables is in doubt.
    const back = await cameBack(fork, before);
    expect(names).toEqual(expect.arrayContaining(back));
    expect(back.length).toBeGreaterThan(30);
  }
  expect(hitCount).toBeGreaterThan(0);
});
