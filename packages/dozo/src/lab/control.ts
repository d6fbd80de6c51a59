/**
 * The control: Dozo without its last layer too. Every lock off, and neither daemon looks which segments
 * are whose. This must go wrong; if the lab did not see it, its other results would say nothing.
 */
import { DozoPlay } from './dozo-play.ts';
import type { Approach } from './dozo-play.ts';
import type { WaySeen } from './lab-report.ts';
import { RECORDS_TOGETHER, SEGMENT_PAYLOAD_BYTES } from './limits.ts';
import { expectedOf } from './records.ts';
import { tellStart } from './stage.ts';
import type { Stage } from './stage.ts';

/** Plays it. Rejects with `LAB_FAILED`. */
export function playControl(stage: Stage): Promise<WaySeen> {
  return stage.inScene('control', async (scene) => {
    const { story } = stage;
    story.say(
      'The same once more, and the layout is switched off as well: a daemon uses any segment that looks free to it. This is Dozo without what makes it Dozo, and the disk must not survive it.',
    );
    const play = await DozoPlay.open(stage, scene, SEGMENT_PAYLOAD_BYTES);
    const naked: Approach = {
      ...(await play.aroundTheKernel()),
      withoutKernelLock: true,
      withoutLease: true,
      withoutLayout: true,
    };
    const holder = await play.startHolder({ ...naked, path: play.disk.path });
    const countBefore = holder.acknowledgedCount;
    const second = play.start('daemon B', 'b', naked);
    await second.waitFor('started');
    tellStart(story, second, 'starts. A goes on. Both write.');
    await play.writeOn(second, 2 * RECORDS_TOGETHER);
    await holder.kill();
    const third = await play.startThird({ path: play.disk.path });
    return play.judge({
      second: `started beside the first, acknowledged ${second.acknowledgedCount} writes`,
      first: `acknowledged ${holder.acknowledgedCount - countBefore} more`,
      expected: [
        // As forgiving as with the layout: what A wrote after B had come is not asked for.
        ...expectedOf(holder.acknowledged, countBefore),
        ...expectedOf(second.acknowledged),
        ...expectedOf(third.acknowledged),
      ],
      harmlessCount: 0,
    });
  });
}
