import { describe, expect, it } from 'vitest';

import { evidenceOf, slotOf, START_MS } from '../../tests/made-evidence.ts';
import { chaptersOf, openCase } from './case-file.ts';

const slots = Array.from({ length: 300 }, (_, index) =>
  slotOf(index + 1, [index * 1000, index * 1000 + 900], {
    ...(index === 99 ? { failedFlush: { wallMs: START_MS, cause: 'EIO' } } : {}),
    ...(index === 199 ? { state: 'stopped' as const } : {}),
  }),
);

describe('a long history', () => {
  const chapters = chaptersOf(openCase(evidenceOf({ slots })), 24);

  it('is told in few chapters, and loses no holder', () => {
    expect(chapters.length).toBeLessThanOrEqual(25);
    const incarnations = chapters
      .flatMap((chapter) => (chapter.kind === 'run' ? chapter.rows : [chapter.row]))
      .map(({ identity }) => identity.incarnation);
    expect(incarnations).toEqual(slots.map(({ identity }) => identity.incarnation));
  });

  it('keeps those alone of whom there is something to tell, and the newest', () => {
    const alone = chapters.flatMap((chapter) =>
      chapter.kind === 'holder' ? [chapter.row.identity.incarnation] : [],
    );
    expect(alone).toEqual(expect.arrayContaining([100, 200, 201, 300]));
  });

  it('stays short when there is something to tell of everybody', () => {
    const stopped = slots.map((slot) => ({ ...slot, state: 'stopped' as const }));
    expect(chaptersOf(openCase(evidenceOf({ slots: stopped })), 24).length).toBeLessThanOrEqual(25);
  });
});
