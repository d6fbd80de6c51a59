/**
 * Dozo under the same choreography, by each of the six ways in. Two real daemons, one real disk; then
 * a look at the disk: is everything there that had to be there?
 */
import { join } from 'node:path';

import type { ContainerPlan } from './container.ts';
import type { DaemonProcess } from './daemon-process.ts';
import type { DaemonReport } from './daemon-protocol.ts';
import { formatDozoDisk, judgeDozoDisk } from './dozo-disk.ts';
import type { DozoWriterArguments } from './dozo-writer.ts';
import { describeAudit, WAYS_IN } from './lab-report.ts';
import type { NotPlayed, WayIn, WaySeen } from './lab-report.ts';
import {
  DOZO_DEVICE_BYTES,
  LEASE_MS,
  LONG_SEGMENT_PAYLOAD_BYTES,
  LOSER_MS_MAX,
  RECORDS_AFTER,
  RECORDS_ALONE,
  RECORDS_TOGETHER,
  SEGMENT_PAYLOAD_BYTES,
  STOPPED_LEASES,
} from './limits.ts';
import { expectedOf } from './records.ts';
import type { ExpectedRecord } from './records.ts';
import type { Disk, Scene } from './scene.ts';
import { tellStart } from './stage.ts';
import type { Stage } from './stage.ts';

/** How a daemon reaches the disk, and what it leaves out. */
interface Approach {
  readonly path: string;
  readonly container?: ContainerPlan | undefined;
  readonly wait?: boolean;
  readonly withoutKernelLock?: boolean;
  readonly withoutLease?: boolean;
}

/** How one way went: in words, and what must be on the disk now. */
interface Ending {
  readonly second: string;
  readonly first: string;
  readonly expected: readonly ExpectedRecord[];
  readonly harmlessCount: number;
}

type EndReport = Extract<DaemonReport, { readonly kind: 'ended' }>;

const STILL_WRITING = 'STILL WRITES and knows of nothing. It is killed.';

/** Plays one of the six, or says why it cannot be played here. Rejects with `LAB_FAILED`. */
export async function playWay(stage: Stage, way: WayIn): Promise<WaySeen | NotPlayed> {
  const reason = whyNot(stage, way);
  if (reason !== undefined) {
    stage.story.say(`Not played: ${reason}.`);
    return { outcome: 'not played', reason };
  }
  return stage.inScene(`dozo-${WAYS_IN.indexOf(way) + 1}`, async (scene) => {
    const disk = await scene.makeDisk('disk', DOZO_DEVICE_BYTES);
    const segmentPayloadBytes =
      way === 'every lock off' ? LONG_SEGMENT_PAYLOAD_BYTES : SEGMENT_PAYLOAD_BYTES;
    await formatDozoDisk(disk.path, stage.clock, segmentPayloadBytes);
    stage.story.tell('disk', disk.path === disk.file ? disk.file : `${disk.path}, on ${disk.file}`);
    return new WayPlay(stage, scene, disk).play(way);
  });
}

function whyNot({ abilities }: Stage, way: WayIn): string | undefined {
  const { containers, loopDevices } = abilities;
  if (way === 'device node made again with mknod' && (containers ?? loopDevices) !== undefined) {
    return 'it needs root';
  }
  if (way === 'second loop device on the same file' && loopDevices !== undefined) {
    return 'it needs root';
  }
  return undefined;
}

class WayPlay {
  readonly #stage: Stage;
  readonly #scene: Scene;
  readonly #disk: Disk;

  constructor(stage: Stage, scene: Scene, disk: Disk) {
    this.#stage = stage;
    this.#scene = scene;
    this.#disk = disk;
  }

  async play(way: WayIn): Promise<WaySeen> {
    const { story } = this.#stage;
    const ending = await this.#playEnding(way);
    const { expected, harmlessCount } = ending;
    const { audit, damageCount, complaint } = await judgeDozoDisk(this.#disk.file, expected);
    const isIntact = audit.intactCount === audit.expectedCount && damageCount === 0;
    const verified = damageCount === 0 ? 'verify clean' : `damaged places found: ${damageCount}`;
    const harmless =
      isIntact && harmlessCount > 0
        ? `; ${harmlessCount} late writes of A lie where nobody reads`
        : '';
    const data = `${describeAudit(audit)}, ${verified}${harmless}`;
    story.tell('disk', `Of all that had to be there: ${data}.`);
    if (complaint !== undefined) story.tell('', complaint);
    return {
      outcome: isIntact ? 'intact' : 'damaged',
      second: ending.second,
      first: ending.first,
      data,
      audit,
      damageCount,
      harmlessCount,
    };
  }

  async #playEnding(way: WayIn): Promise<Ending> {
    const { story } = this.#stage;
    const { path } = this.#disk;
    switch (way) {
      case 'same path':
        return this.#playRefused({ path }, { path });
      case 'private lock directory':
        story.say(
          'What is locked is the disk itself. There is no lock file that could be private.',
        );
        return this.#playRefused(this.#inContainer('a'), this.#inContainer('b'));
      case 'device node made again with mknod':
        return this.#playRefused(this.#throughOwnNode('a'), this.#throughOwnNode('b'));
      case 'second loop device on the same file':
        return this.#playRefused({ path }, await this.#throughSecondLoop());
      case 'first daemon stopped and continued':
        return this.#playStopped({ path }, await this.#aroundTheKernel());
      case 'every lock off':
        return this.#playUnlocked(await this.#aroundTheKernel());
    }
  }

  /** B comes while A holds the disk; then A is killed, and B comes again. */
  async #playRefused(first: Approach, second: Approach): Promise<Ending> {
    const { story } = this.#stage;
    const holder = await this.#startHolder(first);
    holder.send('SIGTERM');
    story.tell('', 'A is told to end (SIGTERM), and still has clients.');
    const intruder = this.#start('daemon B', 'b', second);
    const answer = await intruder.waitFor('started', 'refused');
    if (answer.kind === 'started') return this.#playBoth(holder, intruder);
    const by = answer.code === 'CLAIM_HELD' ? 'the lease on the disk' : "the kernel's lock";
    tellStart(story, intruder, `is refused by ${by}: ${answer.message}`);
    await holder.waitForAcknowledged(holder.acknowledgedCount + RECORDS_AFTER);
    await holder.kill();
    story.tell('', "A's grace is over: kill -9. B is started again, and waits if it must.");
    const next = await this.#startTimed('daemon B', 'c', { ...second, wait: true });
    await next.daemon.waitForAcknowledged(RECORDS_AFTER);
    await next.daemon.stop();
    const names = answer.message.includes(String(holder.pid))
      ? `, which named pid ${holder.pid}`
      : '';
    return {
      second: `refused by ${by}${names}; started again after A's end, it served after ${next.tookMs} ms`,
      first: `wrote on undisturbed: ${holder.acknowledgedCount} writes`,
      expected: [
        ...expectedOf(holder.acknowledged),
        ...expectedOf(intruder.acknowledged),
        ...expectedOf(next.daemon.acknowledged),
      ],
      harmlessCount: 0,
    };
  }

  /** What must not happen: B was let in. Both write, and the disk will tell. */
  async #playBoth(first: DaemonProcess, second: DaemonProcess): Promise<Ending> {
    this.#stage.story.tell(second.name, `pid ${second.pid}: IS LET IN while A holds the disk.`);
    await second.waitForAcknowledged(RECORDS_TOGETHER);
    await first.kill();
    await second.stop();
    return {
      second: `LET IN, acknowledged ${second.acknowledgedCount} writes`,
      first: `acknowledged ${first.acknowledgedCount} writes`,
      expected: [...expectedOf(first.acknowledged), ...expectedOf(second.acknowledged)],
      harmlessCount: 0,
    };
  }

  /** A is stopped and sleeps; B, by a path that the kernel's lock does not see, takes over; A wakes. */
  async #playStopped(first: Approach, second: Approach): Promise<Ending> {
    const { story } = this.#stage;
    const holder = await this.#startHolder(first);
    holder.send('SIGSTOP');
    story.tell('', 'A is stopped in the midst of its work (SIGSTOP), as a paused machine is.');
    const { daemon: successor, tookMs } = await this.#startTimed('daemon B', 'b', {
      ...second,
      wait: true,
    });
    // All that A said before it was stopped has arrived by now.
    const countAtTakeover = holder.acknowledgedCount;
    await successor.waitForAcknowledged(STOPPED_LEASES * RECORDS_AFTER);
    holder.send('SIGCONT');
    story.tell('', 'A is continued (SIGCONT). It believes that it was away for a moment.');
    const end = await this.#awaitLosersEnd(holder);
    const lateCount = holder.acknowledgedCount - countAtTakeover;
    tellStart(
      story,
      holder,
      end === undefined ? STILL_WRITING : `has ended by itself: ${end.message}`,
    );
    await successor.waitForAcknowledged(successor.acknowledgedCount + RECORDS_AFTER);
    await successor.stop();
    const third = await this.#startThird(first);
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
  async #playUnlocked(approach: Approach): Promise<Ending> {
    const { story } = this.#stage;
    const blind: Approach = { ...approach, withoutKernelLock: true, withoutLease: true };
    story.say(
      'Both are started with switches for tests: no kernel lock, no lease, no look at the clock. What is left is the layout: each writes only into segments that it has reserved, and nobody reads what a loser writes.',
    );
    const holder = await this.#startHolder({ ...blind, path: this.#disk.path });
    const countAtStart = holder.acknowledgedCount;
    const successor = this.#start('daemon B', 'b', blind);
    const { recordCount } = await successor.waitFor('started');
    const countAtTakeover = holder.acknowledgedCount;
    tellStart(story, successor, `starts, finds ${recordCount} records. A goes on. Both write.`);
    const end = await this.#awaitLosersEnd(holder);
    const lateCount = holder.acknowledgedCount - countAtTakeover;
    tellStart(
      story,
      holder,
      end === undefined
        ? STILL_WRITING
        : `acknowledged ${lateCount} more, until it needed new segments and looked at the ring to reserve them: ${end.message}`,
    );
    await successor.waitForAcknowledged(Math.max(RECORDS_TOGETHER, successor.acknowledgedCount));
    await successor.stop();
    const third = await this.#startThird({ path: this.#disk.path });
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

  async #startHolder(approach: Approach): Promise<DaemonProcess> {
    const daemon = this.#start('daemon A', 'a', approach);
    const { lock } = await this.#started(daemon);
    tellStart(this.#stage.story, daemon, `${lock} and serves.`);
    await daemon.waitForAcknowledged(RECORDS_ALONE);
    return daemon;
  }

  /** Starts one that must get the disk, and says how long that took. */
  async #startTimed(
    name: string,
    prefix: string,
    approach: Approach,
  ): Promise<{ readonly daemon: DaemonProcess; readonly tookMs: number }> {
    const { clock, story } = this.#stage;
    const startedMs = clock.monotonicMs();
    const daemon = this.#start(name, prefix, approach);
    const { recordCount } = await this.#started(daemon);
    const tookMs = Math.round(clock.monotonicMs() - startedMs);
    const watched = daemon.reported('watching');
    const waited = watched === undefined ? '' : `watches the lease of ${watched.holder}, then `;
    tellStart(
      story,
      daemon,
      `${waited}takes over ${tookMs} ms after its start, finds ${recordCount} records and serves.`,
    );
    return { daemon, tookMs };
  }

  /** A daemon that comes after both, on the front door: it must find everything, and go on. */
  async #startThird(approach: Approach): Promise<DaemonProcess> {
    const daemon = this.#start('daemon C', 'd', { ...approach, wait: true });
    const answer = await daemon.waitFor('started', 'refused');
    if (answer.kind === 'refused') {
      // The disk is judged next; that says how bad it is.
      tellStart(this.#stage.story, daemon, `CANNOT START: ${answer.message}`);
      return daemon;
    }
    const { recordCount } = answer;
    tellStart(
      this.#stage.story,
      daemon,
      `starts after both, finds ${recordCount} records, serves.`,
    );
    await daemon.waitForAcknowledged(RECORDS_AFTER);
    await daemon.stop();
    return daemon;
  }

  /** Waits until the one who has lost the disk ends by itself; kills it if it does not. */
  async #awaitLosersEnd(loser: DaemonProcess): Promise<EndReport | undefined> {
    const end = await loser.waitForWithin(LOSER_MS_MAX, 'ended');
    await (end === undefined ? loser.kill() : loser.waitForEnd());
    return end;
  }

  async #started(
    daemon: DaemonProcess,
  ): Promise<{ readonly lock: string; readonly recordCount: number }> {
    await daemon.waitFor('started', 'refused');
    // Refused where it had to be let in: this says so, with its last words.
    return daemon.waitFor('started');
  }

  #start(name: string, prefix: string, approach: Approach): DaemonProcess {
    const options: DozoWriterArguments = {
      prefix,
      devicePath: approach.path,
      wait: approach.wait ?? false,
      withoutKernelLock: approach.withoutKernelLock ?? false,
      withoutLease: approach.withoutLease ?? false,
    };
    const { container } = approach;
    return this.#scene.start({ name, entry: 'dozo-writer', arguments: options, container });
  }

  #inContainer(prefix: string): Approach {
    const { path } = this.#disk;
    if (this.#scene.abilities.containers !== undefined) return { path };
    const privateDirectory = this.#scene.makeDirectory(`run-${prefix}`);
    return { path, container: { privateDirectory } };
  }

  #throughOwnNode(prefix: string): Approach {
    const privateDirectory = this.#scene.makeDirectory(`dev-${prefix}`);
    const { number } = this.#disk;
    if (number === undefined) return { path: this.#disk.path };
    const path = join(privateDirectory, 'disk');
    return { path, container: { privateDirectory, deviceNodes: [{ path, ...number }] } };
  }

  async #throughSecondLoop(): Promise<Approach> {
    const second = await this.#scene.attach(this.#disk.file);
    this.#stage.story.tell('disk', `${second.path}: a second path to the same disk.`);
    return { path: second.path };
  }

  /** A path that the kernel's lock does not see; without loop devices the lock is left out. */
  async #aroundTheKernel(): Promise<Approach> {
    if (this.#scene.abilities.loopDevices === undefined) return this.#throughSecondLoop();
    this.#stage.story.say(
      'Without loop devices there is no second path to the disk; the second daemon is started with the kernel lock switched off, which comes to the same.',
    );
    return { path: this.#disk.path, withoutKernelLock: true };
  }
}

function describeEnd(end: EndReport | undefined): string {
  return end === undefined ? 'NEVER NOTICED' : `ended by itself (${end.code})`;
}
