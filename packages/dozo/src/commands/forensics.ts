/**
 * `dozo forensics`: who held a device or a guarded volume, whether two did at one time, and what came of
 * it. Takes no lock and changes nothing, also while the device is in use.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

import type { CommandContext } from '../command-context.ts';
import { createFileOnce, replaceFile } from '../composition/atomic-file.ts';
import { CommandError, causeName } from '../errors.ts';
import { EXIT_DONE, EXIT_OVERLAP_FOUND } from '../exit-codes.ts';
import { openCase } from '../forensics/case-file.ts';
import { examine } from '../forensics/examine.ts';
import { PICTURE_BEGINS, drawPicture } from '../forensics/picture.ts';
import { reportJson } from '../forensics/report-json.ts';
import { reportText } from '../forensics/report-text.ts';
import { formatSize } from '../sizes.ts';

export interface ForensicsOptions {
  readonly json: boolean;
  /** Where to write the picture. */
  readonly svg?: string;
}

/** Tells the story; the status says whether two ran at once. */
export async function runForensics(
  context: CommandContext,
  path: string,
  options: ForensicsOptions,
): Promise<number> {
  const clock = await context.openClock();
  const caseFile = openCase(await examine(path, clock, (bytes) => tellOfScan(context, bytes)));
  context.output.write(
    options.json ? `${JSON.stringify(reportJson(caseFile), undefined, 2)}\n` : reportText(caseFile),
  );
  // After the report: a picture that cannot be written must not cost what was found out.
  if (options.svg !== undefined) await writePicture(options.svg, drawPicture(caseFile));
  return caseFile.overlaps.length === 0 ? EXIT_DONE : EXIT_OVERLAP_FOUND;
}

/** A person who waits should know what for. */
function tellOfScan({ errorOutput }: CommandContext, bytes: number): void {
  if (errorOutput.isTTY !== true) return;
  errorOutput.write(`reading ${formatSize(bytes)} that are kept apart for earlier holders ...\n`);
}

/** Replaces an older picture and nothing else: a slip of the hand must not cost a disk or a file. */
async function writePicture(path: string, content: string): Promise<void> {
  const file = { path, content, mode: 0o644 };
  const unique = String(process.pid);
  try {
    if (await isPicture(path)) await replaceFile(file, unique);
    else if (!(await createFileOnce(file, unique))) {
      throw notWritten(path, 'something that is no picture is there already');
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw notWritten(path, causeName(error), error);
  }
}

async function isPicture(path: string): Promise<boolean> {
  let handle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // Not there, or not to be read: then it is not replaced.
    return false;
  }
  try {
    if (!(await handle.stat()).isFile()) return false;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PICTURE_BEGINS.length), 0);
    return buffer.toString('latin1', 0, bytesRead) === PICTURE_BEGINS;
  } finally {
    await handle.close();
  }
}

function notWritten(path: string, reason: string, cause?: unknown): CommandError {
  return new CommandError(
    `cannot write the picture ${path}: ${reason}; name a new file in a directory that is there and may be written`,
    { code: 'FILE_NOT_WRITTEN', path },
    { cause },
  );
}
