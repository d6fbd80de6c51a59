/** What every part of the lab is given: how to open a scene, how to tell the story, what time it is. */
import type { Clock } from '@dozo/base';

import type { Abilities } from './abilities.ts';
import type { DaemonProcess } from './daemon-process.ts';
import type { Disk, Scene } from './scene.ts';
import type { Story } from './story.ts';

export interface Stage {
  readonly story: Story;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly abilities: Abilities;
  /** Runs `play` in a scene of its own, which is closed whatever happens. */
  readonly inScene: <Result>(
    name: string,
    play: (scene: Scene) => Promise<Result>,
  ) => Promise<Result>;
}

/** Where a disk lies. */
export function tellDisk(story: Story, { path, file }: Disk): void {
  story.tell('disk', path === file ? file : `${path}, on ${file}`);
}

/** What a daemon says at its start, told as part of the story. */
export function tellStart(story: Story, daemon: DaemonProcess, what: string): void {
  story.tell(daemon.name, `pid ${daemon.pid}: ${what}`);
}
