/**
 * Puts the engine together, once the fence is durable.
 *
 * Its parts call each other in a circle: the tables ask the committer for segments, the committer asks
 * maintenance for work, maintenance moves tables. So those that are made first get {@link Links} to what
 * is made later. Nothing of it is called before all parts are there.
 */
import { InlineCompute, hasCode } from '@dozo/base';
import { Committer } from './committer.ts';
import type { Counters } from './counters.ts';
import { knownDeaths } from './death-notices.ts';
import type { DeathNotices } from './death-notices.ts';
import { Discarder } from './discarder.ts';
import type { Engine } from './engine-types.ts';
import { deviceFaultOf, finish } from './farewell.ts';
import { limitsOf } from './geometry.ts';
import { Life } from './life.ts';
import { LogEngine } from './log-engine.ts';
import type { LogSource } from './log-walk.ts';
import type { LogWriter } from './log-writer.ts';
import { Maintenance } from './maintenance.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { Opening } from './opening.ts';
import { Pacer } from './pacer.ts';
import { QuarantineRelease } from './quarantine-release.ts';
import { Reading } from './reading.ts';
import type { Recovered } from './recovery.ts';
import { Settler } from './settler.ts';
import { TableSpace } from './table-space.ts';
import type { TreeAccess } from './tree-access.ts';
import { TreeKeeper } from './tree-keeper.ts';
import { treeSettingsOf } from './tree-settings.ts';
import type { TreeEntry } from './tree/tree-entry.ts';

/** What serving begins with. */
export interface Serving {
  readonly opening: Opening;
  readonly recovered: Recovered;
  readonly source: LogSource;
  readonly tree: TreeAccess;
  readonly log: LogWriter;
  readonly counters: Counters;
  readonly notices: DeathNotices;
}

/** The way from parts that are made first to those that are made later. */
interface Links {
  readonly life: Life;
  /** There may be work for the committer. */
  readonly wake: () => void;
  /** Service is over, for that reason. */
  readonly end: (error: unknown) => void;
  readonly lookUp: (name: string) => MaybePromise<TreeEntry | undefined>;
}

/** Puts the engine together. From here on there is somebody to tell whatever happens. */
export function serve(parts: Serving): Engine {
  const { opening, recovered, source, tree, log, counters } = parts;
  const { superblock, claim } = opening;
  const { device, clock } = opening.options;
  const { catalog } = recovered;
  const life = new Life(device.path);
  const links: Links = {
    life,
    wake: () => {
      committer.start();
    },
    end: (error) => {
      // It has just been given back: whoever does that says so himself.
      if (hasCode(error, 'CLAIM_RELEASED')) return;
      const cause = deviceFaultOf(error) ?? error;
      life.fail(cause, () =>
        finish({ claim, device, clock, log, committer, keeper, release, cause }),
      );
    },
    lookUp: (name) => tree.lookUp(name),
  };
  const keeper = treeKeeperOf(parts, links);
  const maintenance = maintenanceOf(parts, links, keeper);
  const committer = committerOf(parts, links, { keeper, maintenance });
  const release = quarantineReleaseOf(parts, links, maintenance);
  const reading = readingOf(parts, links);
  if (opening.options.discard === true) startDiscarding(parts, links);
  claim.onEnd(links.end);
  releaseDead(parts, release);
  // Whatever is overdue (a long log to be replayed, little space) begins at once.
  committer.start();
  keeper.look();
  return new LogEngine({
    ...{ superblock, claim, catalog, source, log, tree, counters },
    ...{ life, maintenance, committer, keeper, reading, release },
  });
}

function treeKeeperOf(parts: Serving, links: Links): TreeKeeper {
  const { opening, recovered, tree, log, counters } = parts;
  const { options, superblock, claim, switches } = opening;
  const { device, clock } = options;
  const { geometry } = superblock;
  const { catalog } = recovered;
  const { life, wake } = links;
  const space = new TableSpace({
    ...{ device, superblock, claim, catalog, log, counters, switches },
    onWait: wake,
    assertServing: () => {
      life.assertServing();
      keeper.assertGoing();
    },
    onFailure: links.end,
  });
  const keeper: TreeKeeper = new TreeKeeper({
    ...{ catalog, log, space, tree, clock, counters, geometry, switches, wake },
    settler: new Settler({ catalog, tree, pacer: new Pacer(clock, counters), switches }),
    compute: options.compute ?? new InlineCompute(),
    settings: treeSettingsOf(geometry, options.memtableBytes),
    isServing: () => life.state === 'open',
    onFailure: links.end,
  });
  return keeper;
}

/** Maintenance and the tables tell each other what they need. */
function maintenanceOf(parts: Serving, { lookUp }: Links, tree: TreeKeeper): Maintenance {
  const { opening, recovered, source, log, counters } = parts;
  const { geometry } = opening.superblock;
  const { catalog } = recovered;
  const pacer = new Pacer(opening.options.clock, counters);
  const maintenance = new Maintenance({
    ...{ log, catalog, source, counters, geometry, pacer, lookUp, tree },
  });
  tree.serve(maintenance);
  log.onSegments = () => {
    tree.lookForSegments();
  };
  catalog.segments.onFree = log.onSegments;
  return maintenance;
}

function committerOf(
  { opening, recovered, log, counters }: Serving,
  { lookUp, end: onFailure }: Links,
  work: { readonly keeper: TreeKeeper; readonly maintenance: Maintenance },
): Committer {
  const { superblock, options, switches } = opening;
  const { path } = options.device;
  const { geometry } = superblock;
  const { catalog } = recovered;
  return new Committer({
    ...{ path, geometry, log, catalog, lookUp, counters, switches, onFailure },
    ...work,
    limits: limitsOf(geometry),
  });
}

function quarantineReleaseOf(
  { opening, log }: Serving,
  { life, wake }: Links,
  maintenance: Maintenance,
): QuarantineRelease {
  const { superblock } = opening;
  const { device, clock } = opening.options;
  return new QuarantineRelease({
    ...{ device, superblock, clock, log },
    isServing: () => life.state === 'open',
    onNote: () => {
      maintenance.requestManifest();
      wake();
    },
  });
}

function readingOf(parts: Serving, { life, end }: Links): Reading {
  const { opening, recovered, source, tree, counters } = parts;
  const { claim, switches } = opening;
  const { catalog } = recovered;
  return new Reading({
    ...{ catalog, source, tree, counters, switches },
    enter: () => {
      life.assertServing();
      return claim.checkLease()?.catch((error: unknown) => {
        end(error);
        life.assertServing();
        throw error;
      });
    },
  });
}

function startDiscarding({ opening, recovered, log, counters }: Serving, { wake }: Links): void {
  const { options, superblock, claim, switches } = opening;
  const { device, clock } = options;
  const { geometry } = superblock;
  const { segments } = recovered.catalog;
  const parts = { device, geometry, claim, clock, segments, counters, switches, onDue: wake };
  log.startDiscarding(new Discarder(parts));
}

/** What dead predecessors wrote is looked at: of those that are known, and of those to come. */
function releaseDead({ opening, log, notices }: Serving, release: QuarantineRelease): void {
  for (const { identity, proof } of knownDeaths(opening.claim, log.history.fences)) {
    release.release(identity, proof);
  }
  notices.tellTo(({ identity, proof }) => {
    release.release(identity, proof);
  });
}
