/** `dozo lab double-start`: the accident that Dozo was made against, played on this machine. */
import { constants, tmpdir } from 'node:os';

import type { CommandContext } from '../command-context.ts';
import { listenForStopSignals } from '../composition/stop-signals.ts';
import type { StopSignal } from '../composition/stop-signals.ts';
import { EXIT_SIGNAL_BASE } from '../exit-codes.ts';
import { renderReport, verdictOn } from '../lab/lab-report.ts';
import { playLab } from '../lab/play-lab.ts';
import { Story } from '../lab/story.ts';

export interface LabDoubleStartOptions {
  /** Where the lab makes its directory. */
  readonly directory?: string;
  /** Also Dozo with every layer off. */
  readonly control: boolean;
  readonly json: boolean;
}

/** Plays, tells, judges. Returns 0 only if the naive daemon was destroyed and Dozo intact in all six. */
export async function runLabDoubleStart(
  context: CommandContext,
  options: LabDoubleStartOptions,
): Promise<number> {
  const { environment, output, errorOutput } = context;
  const clock = await context.openClock();
  const signals = listenForStopSignals(context.signals, clock);
  const { signal } = signals;
  const story = new Story(options.json ? undefined : output, environment);
  const startedMs = clock.monotonicMs();
  try {
    const directory = options.directory ?? tmpdir();
    const report = await playLab({
      directory,
      clock,
      story,
      signal,
      hasControl: options.control,
    });
    const tookMs = Math.round(clock.monotonicMs() - startedMs);
    const verdict = verdictOn(report);
    if (options.json) {
      output.write(`${JSON.stringify({ ...report, verdict, tookMs }, undefined, 2)}\n`);
    } else {
      story.show(renderReport(report));
      story.verdict(`${verdict.text} (${Math.round(tookMs / 1_000)} s)`);
    }
    return verdict.status;
  } catch (error) {
    if (!signal.aborted) throw error;
    const name = signal.reason as StopSignal;
    errorOutput.write(`dozo: the lab was ended by ${name}; everything is cleared away\n`);
    return EXIT_SIGNAL_BASE + constants.signals[name];
  } finally {
    signals.dispose();
  }
}
