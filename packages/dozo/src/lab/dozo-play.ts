/**
 * Dozo daemons on one disk: the steps that the choreographies of `six-ways.ts` and `control.ts` are made
 * of, and the look at the disk after them.
 */
import { hasCode } from '@dozo/base';

import type { ContainerPlan } from './container.ts';
import type { DaemonProcess } from './daemon-process.ts';
import type { DaemonReport } from './daemon-protocol.ts';
import { formatDozoDisk, judgeDozoDisk } from './dozo-disk.ts';
import type { DozoWriterArguments } from './dozo-writer.ts';
import { describeAudit } from './lab-report.ts';
import type { WaySeen } from './lab-report.ts';
import { DOZO_DEVICE_BYTES, LOSER_MS_MAX, RECORDS_AFTER, RECORDS_ALONE } from './limits.ts';
import type { ExpectedRecord } from './records.ts';
import type { Disk, Scene } from './scene.ts';
import { tellDisk, tellStart } from './stage.ts';
import type { Stage } from './stage.ts';

/** How a daemon reaches the disk, and what it leaves out. */
export interface Approach {
  readonly path: string;
  readonly container?: ContainerPlan | undefined;
  readonly wait?: boolean;
  readonly withoutKernelLock?: boolean;
  readonly withoutLease?: boolean;
  readonly withoutLayout?: boolean;
}

/** How one way went: in words, and what must be on the disk now. */
export interface Ending {
  readonly second: string;
  readonly first: string;
  readonly expected: readonly ExpectedRecord[];
  readonly harmlessCount: number;
}

/** The last words of a daemon that could not go on. */
export type EndReport = Extract<DaemonReport, { readonly kind: 'ended' }>;

export class DozoPlay {
  readonly stage: Stage;
  readonly scene: Scene;
  readonly disk: Disk;

  /** Made by {@link open}. */
  constructor(stage: Stage, scene: Scene, disk: Disk) {
    this.stage = stage;
    this.scene = scene;
    this.disk = disk;
  }

  /** With a disk that was just formatted. */
  static async open(stage: Stage, scene: Scene, segmentPayloadBytes: number): Promise<DozoPlay> {
    const disk = await scene.makeDisk('disk', DOZO_DEVICE_BYTES);
    await formatDozoDisk(disk.path, stage.clock, segmentPayloadBytes);
    tellDisk(stage.story, disk);
    return new DozoPlay(stage, scene, disk);
  }

  /** Reads the disk after all daemons are gone, tells and judges. */
  async judge({ second, first, expected, harmlessCount }: Ending): Promise<WaySeen> {
    const { story } = this.stage;
    const { audit, damageCount, complaint } = await judgeDozoDisk(this.disk.file, expected);
    const isIntact = audit.intactCount === audit.expectedCount && damageCount === 0;
    const verified = damageCount === 0 ? 'verify clean' : `damaged places found: ${damageCount}`;
    const harmless =
      isIntact && harmlessCount > 0
        ? `; ${harmlessCount} late writes of A lie where nobody reads`
        : '';
    const data = `${describeAudit(audit)}, ${verified}${harmless}`;
    story.tell('disk', `Of all that had to be there: ${data}.`);
    if (complaint !== undefined) story.tell('', complaint);
    const outcome = isIntact ? 'intact' : 'damaged';
    return { outcome, second, first, data, audit, damageCount, harmlessCount };
  }

  /** Starts a daemon, and waits for nothing. */
  start(name: string, prefix: string, approach: Approach): DaemonProcess {
    const options: DozoWriterArguments = {
      prefix,
      devicePath: approach.path,
      wait: approach.wait ?? false,
      withoutKernelLock: approach.withoutKernelLock ?? false,
      withoutLease: approach.withoutLease ?? false,
      withoutLayout: approach.withoutLayout ?? false,
    };
    const { container } = approach;
    return this.scene.start({ name, entry: 'dozo-writer', arguments: options, container });
  }

  /** Starts A, and waits until it has written for a while. */
  async startHolder(approach: Approach): Promise<DaemonProcess> {
    const daemon = this.start('daemon A', 'a', approach);
    const { lock } = await started(daemon);
    tellStart(this.stage.story, daemon, `${lock} and serves.`);
    await daemon.waitForAcknowledged(RECORDS_ALONE);
    return daemon;
  }

  /** Starts one that must get the disk, and says how long that took. */
  async startTimed(
    name: string,
    prefix: string,
    approach: Approach,
  ): Promise<{ readonly daemon: DaemonProcess; readonly tookMs: number }> {
    const { clock, story } = this.stage;
    const startedMs = clock.monotonicMs();
    const daemon = this.start(name, prefix, approach);
    const { recordCount } = await started(daemon);
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
  async startThird(approach: Approach): Promise<DaemonProcess> {
    const { story } = this.stage;
    const daemon = this.start('daemon C', 'd', { ...approach, wait: true });
    const answer = await daemon.waitFor('started', 'refused');
    if (answer.kind === 'refused') {
      // The disk is judged next; that says how bad it is.
      tellStart(story, daemon, `CANNOT START: ${answer.message}`);
      return daemon;
    }
    const { recordCount } = answer;
    tellStart(story, daemon, `starts after both, finds ${recordCount} records, serves.`);
    await this.writeOn(daemon, RECORDS_AFTER);
    return daemon;
  }

  /**
   * Lets a daemon acknowledge so many writes more, then tells it to close. One that cannot go on is no
   * failure of the lab: it is told, and the disk is judged.
   */
  async writeOn(daemon: DaemonProcess, count: number): Promise<void> {
    try {
      await daemon.waitForAcknowledged(daemon.acknowledgedCount + count);
      await daemon.stop();
    } catch (error) {
      if (!hasCode(error, 'LAB_FAILED') || !daemon.isGone) throw error;
    }
    const end = daemon.reported('ended');
    if (end !== undefined) {
      tellStart(this.stage.story, daemon, `COULD NOT GO ON: ${end.message}`);
    }
  }

  /** Waits until the one who has lost the disk ends by itself; kills it if it does not. */
  async awaitLosersEnd(loser: DaemonProcess): Promise<EndReport | undefined> {
    const end = await loser.waitForWithin(LOSER_MS_MAX, 'ended');
    await (end === undefined ? loser.kill() : loser.waitForEnd());
    return end;
  }

  /** A second path to the disk. */
  async throughSecondLoop(): Promise<Approach> {
    const second = await this.scene.attach(this.disk.file);
    this.stage.story.tell('disk', `${second.path}: a second path to the same disk.`);
    return { path: second.path };
  }

  /** A path that the kernel's lock does not see; without loop devices the lock is left out. */
  async aroundTheKernel(): Promise<Approach> {
    if (this.scene.abilities.loopDevices === undefined) return this.throughSecondLoop();
    this.stage.story.say(
      'Without loop devices there is no second path to the disk; the second daemon is started with the kernel lock switched off, which comes to the same.',
    );
    return { path: this.disk.path, withoutKernelLock: true };
  }
}

async function started(
  daemon: DaemonProcess,
): Promise<{ readonly lock: string; readonly recordCount: number }> {
  await daemon.waitFor('started', 'refused');
  // Refused where it had to be let in: this says so, with its last words.
  return daemon.waitFor('started');
}
