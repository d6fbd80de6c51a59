/**
 * Dozo under the same choreography, by each of the six ways in. Two real daemons, one real disk; then
 * a look at the disk: is everything there that had to be there?
 */
import { join } from 'node:path';

import type { DaemonProcess } from './daemon-process.ts';
import { DozoPlay } from './dozo-play.ts';
import type { Approach, Ending, EndReport } from './dozo-play.ts';
import { WAYS_IN } from './lab-report.ts';
import type { NotPlayed, WayIn, WaySeen } from './lab-report.ts';
import {
  LEASE_MS,
  LONG_SEGMENT_PAYLOAD_BYTES,
  RECORDS_AFTER,
  RECORDS_TOGETHER,
  SEGMENT_PAYLOAD_BYTES,
} from './limits.ts';
import { expectedOf } from './records.ts';
import { tellStart } from './stage.ts';
import type { Stage } from './stage.ts';

const STILL_WRITING = 'STILL WRITES and knows of nothing. It is killed.';

/** Plays one of the six, or says why it cannot be played here. Rejects with `LAB_FAILED`. */
export async function playWay(stage: Stage, way: WayIn): Promise<WaySeen | NotPlayed> {
  const reason = whyNot(stage, way);
  if (reason !== undefined) {
    stage.story.say(`Not played: ${reason}.`);
    return { outcome: 'not played', reason };
  }
  return stage.inScene(`dozo-${WAYS_IN.indexOf(way) + 1}`, async (scene) => {
    const segmentPayloadBytes =
      way === 'every lock off' ? LONG_SEGMENT_PAYLOAD_BYTES : SEGMENT_PAYLOAD_BYTES;
    const play = await DozoPlay.open(stage, scene, segmentPayloadBytes);
    return play.judge(await playEnding(play, way));
  });
}

function whyNot({ abilities }: Stage, way: WayIn): string | undefined {
  const { containers, loopDevices } = abilities;
  const needsRoot =
    (way === 'device node made again with mknod' && (containers ?? loopDevices) !== undefined) ||
    (way === 'second loop device on the same file' && loopDevices !== undefined);
  return needsRoot ? 'it needs root' : undefined;
}

async function playEnding(play: DozoPlay, way: WayIn): Promise<Ending> {
  const { path } = play.disk;
  switch (way) {
    case 'same path':
      return playRefused(play, { path }, { path });
    case 'private lock directory':
      play.stage.story.say(
        'What is locked is the disk itself. There is no lock file that could be private.',
      );
      return playRefused(play, inContainer(play, 'a'), inContainer(play, 'b'));
    case 'device node made again with mknod':
      return playRefused(play, throughOwnNode(play, 'a'), throughOwnNode(play, 'b'));
    case 'second loop device on the same file':
      return playRefused(play, { path }, await play.throughSecondLoop());
    case 'first daemon stopped and continued':
      return playStopped(play, { path }, await play.aroundTheKernel());
    case 'every lock off':
      return playUnlocked(play, await play.aroundTheKernel());
  }
}

/** B comes while A holds the disk; then A is killed, and B comes again. */
async function playRefused(play: DozoPlay, first: Approach, second: Approach): Promise<Ending> {
  const { story } = play.stage;
  const holder = await play.startHolder(first);
  holder.send('SIGTERM');
  story.tell('', 'A is told to end (SIGTERM), and still has clients.');
  const intruder = play.start('daemon B', 'b', second);
  const answer = await intruder.waitFor('started', 'refused');
  if (answer.kind === 'started') return playBoth(play, holder, intruder);
  const kernelLock = play.disk.number === undefined ? 'flock' : 'O_EXCL';
  const by =
    answer.code === 'CLAIM_HELD' ? 'the lease on the disk' : `the kernel's lock (${kernelLock})`;
  tellStart(story, intruder, `is refused by ${by}: ${answer.message}`);
  await holder.waitForAcknowledged(holder.acknowledgedCount + RECORDS_AFTER);
  await holder.kill();
  story.tell('', "A's grace is over: kill -9. B is started again, and waits if it must.");
  const next = await play.startTimed('daemon B', 'c', { ...second, wait: true });
  await play.writeOn(next.daemon, RECORDS_AFTER);
  const isNamed = answer.message.includes(String(holder.pid));
  const named = isNamed ? ` and told that pid ${holder.pid} holds it` : '';
  return {
    second: `refused by ${by}${named}; started again after A's end, it served after ${next.tookMs} ms`,
    first: `wrote on undisturbed: ${holder.acknowledgedCount} writes`,
    expected: [...expectedOf(holder.acknowledged), ...expectedOf(next.daemon.acknowledged)],
    harmlessCount: 0,
  };
}

/** What must not happen: B was let in. Both write, and the disk will tell. */
async function playBoth(
  play: DozoPlay,
  first: DaemonProcess,
  second: DaemonProcess,
): Promise<Ending> {
  play.stage.story.tell(second.name, `pid ${second.pid}: IS LET IN while A holds the disk.`);
  await play.writeOn(second, RECORDS_TOGETHER);
  await first.kill();
  return {
    second: `LET IN, acknowledged ${second.acknowledgedCount} writes`,
    first: `acknowledged ${first.acknowledgedCount} writes`,
    expected: [...expectedOf(first.acknowledged), ...expectedOf(second.acknowledged)],
    harmlessCount: 0,
  };
}

/** A is stopped and sleeps; B, by a path that the kernel's lock does not see, takes over; A wakes. */
async function playStopped(play: DozoPlay, first: Approach, second: Approach): Promise<Ending> {
  const { story } = play.stage;
  const holder = await play.startHolder(first);
  holder.send('SIGSTOP');
  story.tell('', 'A is stopped in the midst of its work (SIGSTOP), as a paused machine is.');
  const waiting: Approach = { ...second, wait: true };
  const { daemon: successor, tookMs } = await play.startTimed('daemon B', 'b', waiting);
  // All that A said before it was stopped has arrived by now.
  const countAtTakeover = holder.acknowledgedCount;
  await successor.waitForAcknowledged(RECORDS_TOGETHER);
  holder.send('SIGCONT');
  story.tell('', 'A is continued (SIGCONT). It believes that it was away for a moment.');
  const end = await play.awaitLosersEnd(holder);
  const lateCount = holder.acknowledgedCount - countAtTakeover;
  const told = end === undefined ? STILL_WRITING : `has ended by itself: ${end.message}`;
  tellStart(story, holder, told);
  await play.writeOn(successor, RECORDS_AFTER);
  const third = await play.startThird(first);
  return {
    second: `took over ${tookMs} ms after its start (lease ${LEASE_MS} ms), acknowledged ${successor.acknowledgedCount} writes`,
    first: `woke up, ${describeEnd(end)}; acknowledged ${lateCount} after the takeover`,
    expected: [
      ...expectedOf(holder.acknowledged, countAtTakeover, countAtTakeover),
      ...expectedOf(successor.acknowledged),
      ...expectedOf(third.acknowledged),
    ],
    harmlessCount: lateCount,
  };
}

/** No lock, no lease, no clock: both write at the same time. Only the layout stands. */
async function playUnlocked(play: DozoPlay, approach: Approach): Promise<Ending> {
  const { story } = play.stage;
  story.say(
    'Both are started with switches for tests: no kernel lock, no lease, no look at the clock. What is left is the layout: each writes only into segments that it has reserved, and nobody reads what a loser writes.',
  );
  const blind: Approach = { ...approach, withoutKernelLock: true, withoutLease: true };
  const holder = await play.startHolder({ ...blind, path: play.disk.path });
  const countAtStart = holder.acknowledgedCount;
  const successor = play.start('daemon B', 'b', blind);
  const { recordCount } = await successor.waitFor('started');
  const countAtTakeover = holder.acknowledgedCount;
  tellStart(story, successor, `starts, finds ${recordCount} records. A goes on. Both write.`);
  const end = await play.awaitLosersEnd(holder);
  const lateCount = holder.acknowledgedCount - countAtTakeover;
  const told =
    end === undefined
      ? STILL_WRITING
      : `acknowledged ${lateCount} more, until it needed new segments and looked at the ring to reserve them: ${end.message}`;
  tellStart(story, holder, told);
  await play.writeOn(successor, RECORDS_TOGETHER);
  const third = await play.startThird({ path: play.disk.path });
  return {
    second: `started beside the first, acknowledged ${successor.acknowledgedCount} writes`,
    first: `went on, acknowledged ${lateCount} more, ${describeEnd(end)}`,
    expected: [
      // What A acknowledged while B was starting may have come before the takeover or after it.
      ...expectedOf(holder.acknowledged, countAtStart, countAtTakeover),
      ...expectedOf(successor.acknowledged),
      ...expectedOf(third.acknowledged),
    ],
    harmlessCount: lateCount,
  };
}

/** The run directory is private. Dozo keeps no lock in it; without containers nothing differs. */
function inContainer(play: DozoPlay, prefix: string): Approach {
  const { path } = play.disk;
  if (play.scene.abilities.containers !== undefined) return { path };
  return { path, container: { privateDirectory: play.scene.makeDirectory(`run-${prefix}`) } };
}

function throughOwnNode(play: DozoPlay, prefix: string): Approach {
  const privateDirectory = play.scene.makeDirectory(`dev-${prefix}`);
  const { path: devicePath, number } = play.disk;
  if (number === undefined) return { path: devicePath };
  const path = join(privateDirectory, 'disk');
  return { path, container: { privateDirectory, deviceNodes: [{ path, ...number }] } };
}

function describeEnd(end: EndReport | undefined): string {
  return end === undefined ? 'NEVER NOTICED' : `ended by itself (${end.code})`;
}
