/** A bar that shows a person how far a long read of a device is. */
import type { VerifyProgress } from '@dozo/engine';
import { Presets, SingleBar } from 'cli-progress';

import type { TextOutput } from '../command-context.ts';
import { formatSize } from '../sizes.ts';

export interface ProgressBar {
  show(progress: VerifyProgress): void;
  /** Leaves the line to what comes next. */
  end(): void;
}

/** Draws on `output` if a person is looking there; otherwise draws nothing. */
export function createProgressBar(output: TextOutput, title: string): ProgressBar {
  if (output.isTTY !== true) return { show: () => undefined, end: () => undefined };
  const options = {
    format: `${title} {bar} {percentage}%  {done} of {all}  {eta_formatted} left`,
    stream: output as NodeJS.WritableStream,
    hideCursor: true,
    clearOnComplete: true,
    fps: 5,
  };
  const bar = new SingleBar(options, Presets.shades_classic);
  let isStarted = false;
  return {
    show: ({ bytesDone, bytesTotal }) => {
      const shown = { done: formatSize(bytesDone), all: formatSize(bytesTotal) };
      if (isStarted) {
        bar.setTotal(bytesTotal);
        bar.update(bytesDone, shown);
      } else {
        bar.start(bytesTotal, bytesDone, shown);
        isStarted = true;
      }
    },
    end: () => {
      if (isStarted) bar.stop();
    },
  };
}
