/** Taking, keeping and losing claims on a simulated disk. */
import { SeededRandom } from '@dozo/base';
import { SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { SLOT_BYTES, describeClaim, watchMsOf } from '../src/index.ts';
import type { Claim, ClaimProgress } from '../src/index.ts';
import { SLOT_BLOCK_BYTES } from '../src/limits.ts';
import { encodeSlot } from '../src/slot.ts';
import { ALPHA, BETA, ClaimWorld, SETTINGS, kill } from './claim-world.ts';

/** A holder on another machine that will never write its slot again, and does not know it. */
async function frozenHolder(world: ClaimWorld): Promise<Claim> {
  const { claim } = await world.take({ access: 'unlocked', switches: { skipBeats: true } });
  await claim.update({ state: 'held', reservation: [1, 2, 3] });
  await claim.confirm();
  return claim;
}

describe('taking a claim', () => {
  test('each claim has a higher incarnation, another nonce and a slot of its own', async () => {
    const world = new ClaimWorld(1);
    const first = await world.take();
    kill(first);
    const second = await world.take();
    expect(second.claim.identity.incarnation).toBe(first.claim.identity.incarnation + 1);
    expect(second.claim.identity.nonce).not.toEqual(first.claim.identity.nonce);
    const ring = await world.ring();
    expect(ring.slots).toHaveLength(2);
    expect(ring.newest?.identity).toEqual(second.claim.identity);
  });

  test('a restart under the same lock is not kept waiting, for the kernel has proved the death', async () => {
    const world = new ClaimWorld(2);
    const first = await world.take();
    await first.claim.update({ state: 'held', reservation: [4, 5] });
    kill(first);
    const restarting = world.begin();
    await world.clock.advance(200);
    const { claim, tookMs } = await restarting;
    expect(tookMs).toBeLessThan(500);
    expect(claim.quarantined).toEqual([]);
    expect(claim.deaths).toEqual([{ identity: first.claim.identity, proof: 'kernel' }]);
  });

  test('a claimant that the kernel cannot speak for watches a whole lease', async () => {
    const world = new ClaimWorld(3);
    const frozen = await frozenHolder(world);
    const progress: ClaimProgress[] = [];
    const { claim, tookMs } = await world.take({
      on: BETA,
      onProgress: (step) => progress.push(step),
    });
    expect(tookMs).toBeGreaterThanOrEqual(watchMsOf(SETTINGS));
    expect(progress).toMatchObject([{ kind: 'watching', watchMs: watchMsOf(SETTINGS) }]);
    expect(claim.quarantined.map(({ reservation }) => reservation)).toEqual([[1, 2, 3]]);
    expect(frozen.failure).toBeUndefined();
  });

  test('a claim without a lock is no proof for anybody', async () => {
    const world = new ClaimWorld(4);
    await frozenHolder(world);
    const { claim, tookMs } = await world.take({ access: 'unlocked' });
    expect(tookMs).toBeGreaterThanOrEqual(watchMsOf(SETTINGS));
    expect(claim.slot.lockIdentity.kind).toBe('none');
    expect(claim.quarantined).toHaveLength(1);
  });

  test('a holder that beats is named, and nothing is written', async () => {
    const world = new ClaimWorld(5);
    await world.take({ access: 'unlocked' });
    await expect(world.take({ on: BETA, access: 'unlocked' })).rejects.toMatchObject({
      code: 'CLAIM_HELD',
      message: expect.stringMatching(/process 1 on host alpha .* last beat 2026-/) as string,
    });
    expect((await world.ring()).slots).toHaveLength(1);
  });

  test('who waits takes over when the holder gives its claim back', async () => {
    const world = new ClaimWorld(6);
    const { claim: first } = await world.take({ access: 'unlocked' });
    const seen: string[] = [];
    const waiting = world.take({
      on: BETA,
      access: 'unlocked',
      wait: true,
      onProgress: ({ kind }) => seen.push(kind),
    });
    await world.clock.advance(20_000);
    expect(seen).toContain('held');
    await first.release();
    const { claim } = await waiting;
    expect(claim.quarantined).toEqual([]);
    expect(claim.deaths).toMatchObject([{ proof: 'released' }]);
  });

  test('who waits stops waiting when it is told to', async () => {
    const world = new ClaimWorld(7);
    await world.take({ access: 'unlocked' });
    const stop = new AbortController();
    const waiting = world.take({ access: 'unlocked', wait: true, signal: stop.signal });
    const refused = expect(waiting).rejects.toThrow('enough');
    await world.clock.advance(9000);
    stop.abort(new Error('enough'));
    await refused;
  });

  test('a local device spares the settle time only under the kernel’s lock', async () => {
    for (const [access, isSettled] of [
      ['exclusive', false],
      ['unlocked', true],
    ] as const) {
      const world = new ClaimWorld(31);
      const starting = world.begin({ access, settings: { isLocal: true } });
      let isTaken = false;
      const taken = starting.then(() => {
        isTaken = true;
      });
      for (let step = 0; step < 30; step++) await world.clock.advance(20);
      expect(isTaken).toBe(!isSettled);
      await world.clock.runUntil(taken);
    }
  });

  test('a reboot proves the death where only this machine reaches the device', async () => {
    const world = new ClaimWorld(8);
    const first = await world.take({ settings: { isLocal: true } });
    kill(first);
    const rebooted = { ...ALPHA, bootId: 'boot-9' };
    const starting = world.begin({ on: rebooted, settings: { isLocal: true } });
    await world.clock.advance(200);
    const { claim, tookMs } = await starting;
    expect(tookMs).toBeLessThan(500);
    expect(claim.deaths).toMatchObject([{ proof: 'rebooted' }]);
  });

  test('a reboot proves nothing on a device that others may reach, nor another machine', async () => {
    for (const [on, isLocal] of [
      [{ ...ALPHA, bootId: 'boot-9' }, false],
      [BETA, true],
    ] as const) {
      const world = new ClaimWorld(9);
      const first = await world.take({ settings: { isLocal } });
      kill(first);
      const { claim } = await world.take({ on, settings: { isLocal } });
      expect(claim.quarantined).toHaveLength(1);
    }
  });

  test('an operator can say that a process is dead', async () => {
    const world = new ClaimWorld(10);
    const frozen = await frozenHolder(world);
    const { claim } = await world.take({ on: BETA, deadByWord: () => true });
    expect(claim.quarantined).toEqual([]);
    expect(claim.deaths).toEqual([{ identity: frozen.identity, proof: 'operator' }]);
  });

  test('what one claim has accounted for, the next one need not find out again', async () => {
    const world = new ClaimWorld(11);
    const frozen = await frozenHolder(world);
    const second = await world.take({ on: BETA });
    await second.claim.update({ state: 'held' });
    kill(second);
    const third = await world.take({ on: BETA });
    expect(third.claim.quarantined.map(({ identity }) => identity)).toEqual([frozen.identity]);
    await third.claim.update({ state: 'held' });
    third.claim.forgive(frozen.identity, 'operator');
    await third.claim.update({});
    kill(third);
    const fourth = await world.take({ on: BETA });
    expect(fourth.claim.quarantined).toEqual([]);
  });

  test('the claim that recovery starts from is never overwritten, however many fail after it', async () => {
    const world = new ClaimWorld(12, 4);
    const needed = await world.take();
    const checkpoint = { segment: 3, segmentOrdinal: 9, groupOffset: 4096 };
    await needed.claim.update({ state: 'held', checkpoint });
    kill(needed);
    for (let attempt = 0; attempt < 20; attempt++) {
      const holder = await world.take();
      await holder.claim.update({});
      kill(holder);
    }
    const { claim } = await world.take();
    expect(claim.recoverFrom?.identity).toEqual(needed.claim.identity);
    expect(claim.quarantined).toEqual([]);
  });

  test('a ring whose claims may all be alive is an error that says what to do', async () => {
    const world = new ClaimWorld(13, 2);
    await frozenHolder(world);
    const second = await world.take({ on: BETA });
    await second.claim.update({ state: 'held' });
    kill(second);
    await expect(world.take({ on: ALPHA })).rejects.toMatchObject({ code: 'CLAIM_RING_FULL' });
  });

  test('more possible zombies than an account can name are an error that says what to do', async () => {
    const world = new ClaimWorld(14, 32);
    for (let count = 0; count < 13; count++) {
      const holder = await world.take({ access: 'unlocked' });
      await holder.claim.update({ state: 'held' });
      kill(holder);
    }
    await expect(world.take({ access: 'unlocked' })).rejects.toMatchObject({
      code: 'CLAIM_QUARANTINE_FULL',
      detail: { quarantinedCount: 13 },
    });
  });

  test('a slot with both blocks damaged keeps a claim from being taken', async () => {
    const world = new ClaimWorld(15);
    const { claim, device } = await world.take();
    await claim.update({ state: 'held' });
    kill({ claim, device });
    const offset = claim.tenure.slotIndex * SLOT_BYTES;
    world.medium.corrupt(offset + 50);
    expect((await world.ring()).lostSlots).toEqual([]);
    world.medium.corrupt(offset + 4096 + 50);
    await expect(world.take()).rejects.toMatchObject({
      code: 'CLAIM_RING_DAMAGED',
      detail: { damagedSlots: [claim.tenure.slotIndex] },
    });
  });

  test('intervals that cannot be used are refused', async () => {
    const settings = { beatIntervalMs: 1000, leaseMs: 2000 };
    await expect(new ClaimWorld(16).take({ settings })).rejects.toMatchObject({
      code: 'CLAIM_SETTINGS_INVALID',
      message: expect.stringContaining('from 3000 to 600000 ms') as string,
    });
  });

  test('two claimants of one instant: one gets it, the other is told by whom', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const world = new ClaimWorld(`instant/${seed}`);
      const tries = [
        world.take({ on: ALPHA, access: 'unlocked' }),
        world.take({ on: BETA, access: 'unlocked' }),
      ];
      const ends = await Promise.allSettled(tries);
      expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const refused = ends.find((end) => end.status === 'rejected');
      expect(refused?.reason).toMatchObject({ code: 'CLAIM_HELD' });
      const winner = ends.find((end) => end.status === 'fulfilled');
      expect(winner?.value.claim.failure).toBeUndefined();
    }
  });
});

describe('holding a claim', () => {
  test('beats keep the lease alive, with one write and one look a beat interval', async () => {
    const world = new ClaimWorld(20);
    const { claim, device } = await world.take({ settings: { isLocal: true } });
    const before = device.counts();
    await world.clock.advance(60_000);
    const after = device.counts();
    expect(claim.checkLease()).toBeUndefined();
    expect(after.writes - before.writes).toBeLessThanOrEqual(61);
    expect(after.writes - before.writes).toBeGreaterThanOrEqual(55);
    expect(after.reads - before.reads).toBeLessThanOrEqual(61);
  });

  test('a process that slept beats before it writes, and goes on when nobody has come', async () => {
    const world = new ClaimWorld(21);
    const claim = await frozenHolder(world);
    await world.clock.advance(60_000);
    const { beatCounter } = claim.slot;
    await world.clock.runUntil(Promise.resolve(claim.checkLease()));
    expect(claim.slot.beatCounter).toBe(beatCounter + 1);
    expect(claim.checkLease()).toBeUndefined();
  });

  test('wall time that ran ahead counts as sleep', async () => {
    const world = new ClaimWorld(22);
    const claim = await frozenHolder(world);
    expect(claim.checkLease()).toBeUndefined();
    world.clock.jumpWall(3600_000);
    expect(claim.checkLease()).toBeInstanceOf(Promise);
    await world.clock.runUntil(Promise.resolve(claim.checkLease()));
    expect(claim.checkLease()).toBeUndefined();
  });

  test('a process that slept through a takeover writes nothing more, and says who has it', async () => {
    const world = new ClaimWorld(23);
    const claim = await frozenHolder(world);
    const ends: string[] = [];
    claim.onEnd(({ code }) => ends.push(code));
    await world.take({ on: BETA });
    await expect(world.clock.runUntil(Promise.resolve(claim.checkLease()))).rejects.toMatchObject({
      code: 'CLAIM_FENCED',
      message: expect.stringContaining('process 2 on host beta') as string,
    });
    expect(ends).toEqual(['CLAIM_FENCED']);
    await expect(claim.update({})).rejects.toMatchObject({ code: 'CLAIM_FENCED' });
  });

  test('a holder notices by its beats that it was taken over', async () => {
    const world = new ClaimWorld(24);
    const { claim } = await world.take({ access: 'unlocked' });
    const impatient = { skipWatch: true };
    await world.take({ on: BETA, access: 'unlocked', switches: impatient });
    await world.clock.advance(2000);
    expect(claim.failure).toMatchObject({ code: 'CLAIM_FENCED' });
  });

  test('a reservation is not confirmed past a higher claim', async () => {
    const world = new ClaimWorld(25);
    const claim = await frozenHolder(world);
    await claim.update({ reservation: [7, 8, 9] });
    await world.take({ on: BETA, access: 'unlocked', switches: { skipWatch: true } });
    await expect(claim.confirm()).rejects.toMatchObject({ code: 'CLAIM_FENCED' });
  });

  test('a fenced holder that says that it has stopped is proved dead to its successor', async () => {
    const world = new ClaimWorld(26);
    const zombie = await frozenHolder(world);
    const { claim } = await world.take({ on: BETA });
    const dead: unknown[] = [];
    claim.onDeath((slot, proof) => dead.push([slot.identity, proof]));
    await world.clock.advance(5000);
    expect(dead).toEqual([]);
    await expect(world.clock.runUntil(Promise.resolve(zombie.checkLease()))).rejects.toThrow();
    await zombie.stop();
    await world.clock.advance(5000);
    expect(dead).toEqual([[zombie.identity, 'stopped']]);
  });

  test('a slot that cannot be written is the end of the claim', async () => {
    const world = new ClaimWorld(27);
    const { claim, device } = await world.take();
    device.inject({ kind: 'write', effect: 'fail', after: 0 });
    await world.clock.advance(2000);
    expect(claim.failure).toMatchObject({
      code: 'CLAIM_LOST',
      message: expect.stringContaining('EIO') as string,
    });
    expect(claim.leaseLeftMs).toBe(0);
    await expect(Promise.resolve(claim.checkLease())).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  });

  test('a disk that hangs is given up after twelve leases', async () => {
    const world = new ClaimWorld(28);
    const { claim, device } = await world.take();
    // From now on nothing of this handle settles any more.
    device.halt();
    await world.clock.advance(6000);
    const asked = expect(Promise.resolve(claim.checkLease())).rejects.toMatchObject({
      code: 'CLAIM_LOST',
      message: expect.stringMatching(/no beat has got through for 6\d+ ms/) as string,
    });
    await world.clock.advance(60_000);
    await asked;
  });

  test('a process that slept for long in the middle of a beat goes on when nobody has come', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const world = new ClaimWorld(`slept/${seed}`);
      const process = new SimulatedProcess(world.clock);
      const device = new SimulatedDevice(world.medium, { clock: world.clock, seed, process });
      const { claim } = await world.take({ device, clock: process });
      // Stopped right after its next beat has been begun.
      const before = device.operationCount;
      while (device.operationCount === before) await world.clock.advance(1);
      process.pause('runs');
      await world.clock.advance(3600_000);
      process.resume();
      await world.clock.advance(10_000);
      expect(claim.failure).toBeUndefined();
      expect(claim.checkLease()).toBeUndefined();
      claim.abandon();
    }
  });

  test('a claim that was given back is not used any more', async () => {
    const world = new ClaimWorld(29);
    const { claim } = await world.take();
    await claim.release();
    await expect(claim.update({})).rejects.toMatchObject({ code: 'CLAIM_RELEASED' });
    expect((await world.ring()).newest?.state).toBe('released');
    const written = world.medium.fork();
    await world.clock.advance(10_000);
    expect(world.medium.peek(0, 16 * SLOT_BYTES)).toEqual(written.peek(0, 16 * SLOT_BYTES));
  });

  test('a torn write of a slot leaves what it said before', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const world = new ClaimWorld(`torn/${seed}`);
      const { claim } = await world.take();
      await claim.update({ reservation: [1, 2, 3] });
      const writing = claim.update({ reservation: [4, 5, 6] });
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      const torn = world.medium.crash(new SeededRandom(seed), { tearing: 'sector' });
      await writing;
      const other = new ClaimWorld(`torn/${seed}`);
      other.medium.poke(0, torn.peek(0, 16 * SLOT_BYTES));
      const ring = await other.ring();
      expect(ring.lostSlots).toEqual([]);
      expect([
        [1, 2, 3],
        [4, 5, 6],
      ]).toContainEqual(ring.newest?.reservation);
    }
  });

  test('a claim describes its holder in one line', async () => {
    const { claim } = await new ClaimWorld(30).take();
    expect(describeClaim(claim.slot)).toMatch(
      /^process 1 on host alpha \(dozo 0\.1\.0, claiming since 2026-01-01T00:00:0\d\.\d+Z, last beat 2026-01-01T00:00:0\d\.\d+Z, incarnation 1, nonce [0-9a-f]{8}\)$/,
    );
  });
});

describe('what a look at the ring finds out', () => {
  test('a claim that has not been looked at yet writes nothing more into its slot', async () => {
    const world = new ClaimWorld(40);
    let writes = 0;
    const device = world.open('unlocked');
    const counted: typeof device = Object.create(device, {
      writeUncached: {
        value: (offset: number, buffers: readonly Uint8Array[]) => {
          writes++;
          return device.writeUncached(offset, buffers);
        },
      },
      // The look that follows the settle time takes longer than three beats.
      readUncached: {
        value: async (offset: number, into: Uint8Array) => {
          if (writes > 0) await world.wait(3500);
          await device.readUncached(offset, into);
        },
      },
    }) as typeof device;
    const taking = world.begin({ device: counted, settings: { leaseMs: 20_000 } });
    await world.clock.advance(4000);
    expect(writes).toBe(1);
    await world.clock.advance(4000);
    const { claim } = await world.clock.runUntil(taking);
    expect(claim.failure).toBeUndefined();
  });

  test('a disk that loses the writes of the slot is found out, and the claim is over', async () => {
    const world = new ClaimWorld(41);
    const { claim, device } = await world.take();
    device.inject({ kind: 'write', effect: 'lose', after: 0 });
    await world.clock.advance(1500);
    expect(claim.failure).toMatchObject({
      code: 'CLAIM_LOST',
      message: expect.stringContaining('does not show what was written there last') as string,
    });
  });

  test('a claim whose slot is somebody else’s by now writes nothing more into it', async () => {
    const world = new ClaimWorld(43);
    const { claim } = await world.take();
    const other = await new ClaimWorld('other').take();
    const slot = { ...other.claim.slot, deviceId: world.deviceId };
    for (const block of [0, 1]) {
      const number = 2 * claim.tenure.slotIndex + block;
      world.medium.poke(number * SLOT_BLOCK_BYTES, encodeSlot(slot, number));
    }
    await world.clock.runUntil(claim.look());
    expect(claim.failure).toMatchObject({ code: 'CLAIM_FENCED' });
    const before = await world.ring();
    await claim.stop();
    expect(await world.ring()).toEqual(before);
  });

  test('a slot that cannot be read any more ends a claim, for a higher one may be in it', async () => {
    const world = new ClaimWorld(42);
    const { claim } = await world.take();
    const other = (claim.tenure.slotIndex + 1) % world.slotCount;
    world.medium.poke(other * SLOT_BYTES, new Uint8Array(SLOT_BYTES).fill(7));
    await world.clock.advance(1500);
    expect(claim.failure).toMatchObject({ code: 'CLAIM_RING_DAMAGED' });
  });
});
