import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { parseCopySource, parseMetadataDirective } from './copy-source.ts';
import type { CopySource } from './copy-source.ts';

function source(text: string): CopySource {
  return parseCopySource(new Map([['x-amz-copy-source', text]]));
}

describe('parseCopySource', () => {
  it.each([
    ['photos/a', 'a'],
    ['/photos/a/b', 'a/b'],
    ['photos%2Fa', 'a'],
    ['/photos/a%20b+c%3Fd', 'a b+c?d'],
    ['/photos//a', '/a'],
    ['/photos/a?versionId=null', 'a'],
    ['/photos/a?b', 'a?b'],
    [Buffer.from('/photos/grün').toString('latin1'), 'grün'],
  ])('%s names the key %j', (text, key) => {
    expect(source(text)).toEqual({ bucket: 'photos', key });
  });

  it.each([
    ['', 'InvalidArgument'],
    ['/', 'InvalidArgument'],
    ['photos', 'InvalidArgument'],
    ['/photos/', 'InvalidArgument'],
    ['//a', 'InvalidArgument'],
    ['/photos/%ff', 'InvalidArgument'],
    ['/photos/a?versionId=1', 'InvalidArgument'],
    ['/A/a', 'InvalidBucketName'],
    [`/photos/${'a'.repeat(1025)}`, 'KeyTooLongError'],
  ])('%j is refused as %s', (text, code) => {
    expect(refusal(() => source(text)).code).toBe(code);
  });
});

describe('parseMetadataDirective', () => {
  it('copies unless told to replace', () => {
    const name = 'x-amz-metadata-directive';
    expect(parseMetadataDirective(new Map())).toBe('COPY');
    expect(parseMetadataDirective(new Map([[name, 'REPLACE']]))).toBe('REPLACE');
    const error = refusal(() => parseMetadataDirective(new Map([[name, 'MERGE']])));
    expect(error.detail.fields).toEqual({ ArgumentName: name, ArgumentValue: 'MERGE' });
  });
});
