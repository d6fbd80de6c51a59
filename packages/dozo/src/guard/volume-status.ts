/**
 * `dozo guard --status`: who holds a volume. Takes no lock and writes nothing.
 *
 * A slot that says `held` was written by somebody who may be dead since. So it is watched until a beat
 * is seen or its lease would be over.
 */
import { sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';
import { describeClaim, isSameClaim, watchMsOf } from '@dozo/claim';
import type { Slot } from '@dozo/claim';

import { EXIT_DONE, EXIT_NOT_RUNNING } from '../exit-codes.ts';
import { lockersInWords } from './descriptor-holders.ts';
import { formatDuration } from './durations.ts';
import { isLockShown, lookAtVolume, requireDirectory } from './volume-look.ts';
import type { VolumeLook } from './volume-look.ts';

/**
 * `silent`: no beat for a lease, and yet the kernel's lock is taken: its guard is stopped or hangs, or was
 * killed and something that it had started lives on.
 */
type VolumeState = 'held' | 'silent' | 'free';

/** Shows it; @returns 0 when somebody holds it, 8 when it is free. */
export async function showVolume(
  task: { readonly volume: string; readonly json: boolean },
  clock: Clock,
  print: (text: string) => void,
): Promise<number> {
  await requireDirectory(task.volume);
  const look = await lookAtVolume(task.volume);
  if (look === undefined) {
    const report = { volume: task.volume, state: 'free', claimFile: null };
    print(task.json ? json(report) : `${task.volume} is free: it was never guarded\n`);
    return EXIT_NOT_RUNNING;
  }
  const { state, slot } = await watch(task.volume, look, clock);
  print(
    task.json
      ? json(reportOf(task.volume, look, state, slot))
      : text(task.volume, look, state, slot),
  );
  return state === 'free' ? EXIT_NOT_RUNNING : EXIT_DONE;
}

async function watch(
  directory: string,
  first: VolumeLook,
  clock: Clock,
): Promise<{ readonly state: VolumeState; readonly slot: Slot | undefined }> {
  const { settings } = first;
  const untilMs = clock.monotonicMs() + watchMsOf(settings);
  const seen = first.ring.newest;
  let slot = seen;
  while (slot !== undefined && mayBeHeld(slot)) {
    if (seen === undefined || !isSameClaim(slot.identity, seen.identity))
      return { state: 'held', slot };
    if (slot.writeCounter !== seen.writeCounter) return { state: 'held', slot };
    if (clock.monotonicMs() >= untilMs) {
      const isLocked = await isLockShown(first.path);
      return { state: isLocked ? 'silent' : 'free', slot };
    }
    await sleep(clock, Math.max(10, settings.beatIntervalMs / 4));
    slot = (await lookAtVolume(directory))?.ring.newest;
  }
  return { state: 'free', slot };
}

function mayBeHeld({ state }: Slot): boolean {
  return state === 'claiming' || state === 'held';
}

function text(
  volume: string,
  look: VolumeLook,
  state: VolumeState,
  slot: Slot | undefined,
): string {
  const who = slot === undefined ? 'nobody' : describeClaim(slot);
  const { beatIntervalMs, leaseMs } = look.settings;
  const lines = {
    held: `${volume} is held by ${who}`,
    silent:
      `${volume} is held, and its holder is silent: the kernel's lock is taken and no beat was seen ` +
      `for a lease, so its guard is stopped, its disk hangs, or it was killed and something that it ` +
      `started lives on: ${who}.${lockersInWords(look.path)}`,
    free: slot === undefined ? `${volume} is free` : `${volume} is free; last held by ${who}`,
  };
  const intervals = `beat ${formatDuration(beatIntervalMs)}, lease ${formatDuration(leaseMs)}`;
  return `${lines[state]}\n  claim file ${look.path} (${intervals})\n`;
}

function reportOf(volume: string, look: VolumeLook, state: VolumeState, slot: Slot | undefined) {
  const { beatIntervalMs, leaseMs } = look.settings;
  return {
    volume,
    state,
    claimFile: look.path,
    beatIntervalMs,
    leaseMs,
    holder:
      slot === undefined
        ? null
        : {
            ...slot.holder,
            slotState: slot.state,
            incarnation: slot.identity.incarnation,
            since: new Date(slot.sinceWallMs).toISOString(),
            lastBeat: new Date(slot.lastWallMs).toISOString(),
          },
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
