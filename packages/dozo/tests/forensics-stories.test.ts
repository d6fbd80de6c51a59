/** What report and picture look like. After a change: look at the pictures, then `vitest -u`. */
import { describe, expect, it } from 'vitest';

import { openCase } from '../src/forensics/case-file.ts';
import { drawPicture } from '../src/forensics/picture.ts';
import { reportJson } from '../src/forensics/report-json.ts';
import { reportText } from '../src/forensics/report-text.ts';
import { evidenceOf } from './made-evidence.ts';
import { claimFileCase, damageCase, longCase, zombieCase } from './told-cases.ts';

const cases = [
  ['zombie', zombieCase()],
  ['long', longCase()],
  ['claim-file', claimFileCase()],
  ['damage', damageCase()],
  ['never-used', evidenceOf({ slots: [] })],
] as const;

describe.each(cases)('the story of a case: %s', (name, evidence) => {
  const caseFile = openCase(evidence);

  it('is told in words, in 100 columns', async () => {
    const text = reportText(caseFile);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    await expect(text).toMatchFileSnapshot(`stories/forensics-${name}.txt`);
  });

  it('is drawn, and nothing in it can break out of its text', async () => {
    const svg = drawPicture(caseFile);
    expect(svg.length).toBeLessThan(64 * 1024);
    expect(openedElements(svg)).toEqual([]);
    await expect(svg).toMatchFileSnapshot(`stories/forensics-${name}.svg`);
  });
});

it('is given to programs in the form that the page describes', async () => {
  const json = `${JSON.stringify(reportJson(openCase(zombieCase())), undefined, 2)}\n`;
  await expect(json).toMatchFileSnapshot('stories/forensics-zombie-json.txt');
});

/** Elements that are not closed, or are not ours. */
function openedElements(svg: string): readonly string[] {
  const ours = /^(svg|style|defs|pattern|rect|line|text|title|g|path|circle)$/;
  const stack: string[] = [];
  for (const [, close, name = '', self] of svg.matchAll(/<(\/?)([^\s/>]+)[^<>]*?(\/?)>/g)) {
    if (!ours.test(name)) return [`unknown ${name}`];
    if (close === '/') {
      if (stack.pop() !== name) return [`wrong end of ${name}`];
    } else if (self !== '/') stack.push(name);
  }
  return stack;
}
