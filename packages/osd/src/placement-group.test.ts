import { DeviceError, DozoError } from '@dozo/base';
import { ModelEngine } from '@dozo/simulator';
import type { PoolId, Shard, TransactionStore, Version } from '@dozo/replica';
import { describe, expect, it, vi } from 'vitest';
import { TRANSACTIONS_IN_FLIGHT_MAX } from './limits.ts';
import { PlacementGroup } from './placement-group.ts';

const pool = 1 as PoolId;
const shard: Shard = { pool, routingKey: bytes('shard') };

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

function put(store: TransactionStore, key: string, value: string): Promise<{ version: Version }> {
  return store.transact({ ...shard, puts: [{ key: bytes(key), value: bytes(value) }] });
}

async function valueOf(store: TransactionStore, key: string): Promise<string | undefined> {
  return text((await store.get(shard, bytes(key)))?.value);
}

async function collect<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

describe('placement group', () => {
  it('applies puts and deletes of a transaction together', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    await put(store, 'old', 'x');
    const { version } = await store.transact({
      ...shard,
      puts: [{ key: bytes('new'), value: bytes('y') }],
      deletes: [bytes('old')],
    });
    expect(await valueOf(store, 'old')).toBeUndefined();
    expect(await store.stat(shard, bytes('new'))).toEqual({ version, sizeBytes: 1 });
    expect(text((await store.get(shard, bytes('new'), { start: 0, end: 1 }))?.value)).toBe('y');
  });

  it('applies nothing when a precondition does not hold, and names which', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    const { version } = await put(store, 'a', '1');
    await put(store, 'a', '2');
    const refused = store.transact({
      ...shard,
      preconditions: [
        { key: bytes('a'), is: 'present' },
        { key: bytes('a'), is: 'version', version },
      ],
      puts: [{ key: bytes('b'), value: bytes('never') }],
    });
    await expect(refused).rejects.toMatchObject({
      detail: { code: 'PRECONDITION_FAILED', index: 1 },
    });
    expect(await valueOf(store, 'b')).toBeUndefined();
  });

  it('never gives a version twice, also over a delete', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    const first = await put(store, 'a', '1');
    await store.transact({ ...shard, deletes: [bytes('a')] });
    const second = await put(store, 'a', '1');
    expect(second.version).toBeGreaterThan(first.version);
  });

  it('scans one shard only, both ways, within a range', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    for (const key of ['a', 'b', 'c', 'd']) await put(store, key, key);
    await store.transact({
      pool,
      routingKey: bytes('shard2'),
      puts: [{ key: bytes('b'), value: bytes('other') }],
    });
    const keys = async (range: Parameters<TransactionStore['scan']>[1]): Promise<string> =>
      (await collect(store.scan(shard, range))).map((row) => text(row.key)).join('');
    expect(await keys({})).toBe('abcd');
    expect(await keys({ from: bytes('b'), to: bytes('d') })).toBe('bc');
    expect(await keys({ reverse: true, limit: 3 })).toBe('dcb');
  });

  it('names each routing key of a pool once', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    const names = ['a', 'b', 'zz', 'longer'];
    for (const name of names) {
      for (const key of ['1', '2']) {
        const value = bytes('');
        await store.transact({ pool, routingKey: bytes(name), puts: [{ key: bytes(key), value }] });
      }
    }
    await store.transact({
      pool: 2 as PoolId,
      routingKey: bytes('elsewhere'),
      puts: [{ key: bytes('1'), value: bytes('') }],
    });
    const found = (await collect(store.routingKeys(pool))).map(text);
    expect(found).toEqual(names);
    expect((await collect(store.routingKeys(pool, bytes('b')))).map(text)).toEqual([
      'zz',
      'longer',
    ]);
  });

  it('refuses to read where there can be nothing', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    const elsewhere: Shard = { pool: 65_536 as PoolId, routingKey: bytes('shard') };
    const asked = [
      store.get(elsewhere, bytes('a')),
      store.get(shard, bytes('')),
      store.stat(elsewhere, bytes('a')),
      collect(store.scan(elsewhere, {})),
      collect(store.routingKeys(elsewhere.pool)),
      collect(store.routingKeys(pool, new Uint8Array(300))),
    ];
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ reason: { code: 'TRANSACTION_INVALID' } });
    }
  });

  it('refuses a transaction that changes one key twice', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine() });
    const twice = store.transact({
      ...shard,
      puts: [{ key: bytes('a'), value: bytes('1') }],
      deletes: [bytes('a')],
    });
    await expect(twice).rejects.toMatchObject({ code: 'TRANSACTION_INVALID' });
    const apart = store.transact({
      ...shard,
      puts: ['a', 'b'].map((key) => ({ key: bytes(key), value: bytes('1') })),
      deletes: [bytes('a')],
    });
    await expect(apart).rejects.toMatchObject({ code: 'TRANSACTION_INVALID' });
  });

  it('answers STORE_FULL on a full device and still takes deletes', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine({ capacityBytes: 32 }) });
    await put(store, 'a', '0123456789');
    await expect(put(store, 'b', '0123456789')).rejects.toMatchObject({ code: 'STORE_FULL' });
    await store.transact({ ...shard, deletes: [bytes('a')] });
    await put(store, 'b', '0123456789');
  });

  it('answers STORE_FAILED when the device fails and STORE_CLOSED after the end', async () => {
    const failing = new ModelEngine({ beforeApply: () => Promise.reject(new Error('EIO')) });
    await expect(put(new PlacementGroup({ engine: failing }), 'a', '1')).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
    const closed = new ModelEngine();
    await closed.close();
    const store = new PlacementGroup({ engine: closed });
    await expect(put(store, 'a', '1')).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    await expect(store.get(shard, bytes('a'))).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    await expect(store.stat(shard, bytes('a'))).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    await expect(collect(store.scan(shard, {}))).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  });

  it('answers STORE_READ_FAILED when the device cannot be read, whatever was asked', async () => {
    const engine = new ModelEngine();
    const failed = new DeviceError('Cannot read on disk at offset 0: EIO.', {
      code: 'DEVICE_READ_FAILED',
      path: 'disk',
      offset: 0,
      cause: 'EIO',
    });
    for (const method of ['get', 'stat', 'scan'] as const) {
      vi.spyOn(engine, method).mockImplementation(() => {
        throw failed;
      });
    }
    const store = new PlacementGroup({ engine });
    const asked = [
      store.get(shard, bytes('a')),
      store.stat(shard, bytes('a')),
      collect(store.scan(shard, {})),
      collect(store.routingKeys(pool)),
      store.transact({
        ...shard,
        preconditions: [{ key: bytes('a'), is: 'absent' }],
        deletes: [bytes('a')],
      }),
    ];
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { name: 'TransactionError', code: 'STORE_READ_FAILED', cause: failed },
      });
    }
  });

  it.each([
    ['DEVICE_FULL', 'STORE_FULL'],
    ['TABLES_DAMAGED', 'STORE_FULL'],
    ['QUEUE_FULL', 'STORE_BUSY'],
    ['BATCH_TOO_LARGE', 'TRANSACTION_TOO_LARGE'],
    ['VALUE_TOO_LARGE', 'TRANSACTION_TOO_LARGE'],
    ['KEY_TOO_LONG', 'TRANSACTION_INVALID'],
    ['ENGINE_CLOSED', 'STORE_CLOSED'],
    ['ENGINE_FAILED', 'STORE_FAILED'],
    ['ENGINE_FENCED', 'STORE_FAILED'],
    ['ENGINE_CLAIM_LOST', 'STORE_FAILED'],
    ['VALUE_DAMAGED', 'VALUE_DAMAGED'],
    ['INDEX_DAMAGED', 'VALUE_DAMAGED'],
    ['DEVICE_CLOSED', 'STORE_CLOSED'],
  ])('turns %s of the engine into %s', async (code, expected) => {
    const engine = new ModelEngine();
    const refusal = new DozoError('refused', { code });
    vi.spyOn(engine, 'apply').mockRejectedValue(refusal);
    const store = new PlacementGroup({ engine });
    await expect(put(store, 'a', '1')).rejects.toMatchObject({
      name: 'TransactionError',
      code: expected,
      cause: refusal,
    });
    expect(store.inFlightCount).toBe(0);
  });

  it('answers STORE_BUSY when too many wait, and serves again afterwards', async () => {
    const gate: { open: () => void } = { open: () => undefined };
    const closed = new Promise<void>((resolve) => (gate.open = resolve));
    const store = new PlacementGroup({ engine: new ModelEngine({ beforeApply: () => closed }) });
    const waiting = Array.from({ length: TRANSACTIONS_IN_FLIGHT_MAX }, (_, index) =>
      put(store, `k${index}`, ''),
    );
    await expect(put(store, 'one more', '')).rejects.toMatchObject({ code: 'STORE_BUSY' });
    gate.open();
    await Promise.all(waiting);
    expect(store.inFlightCount).toBe(0);
    await put(store, 'one more', '');
  });
});

/** Fifty writers add one to a counter, each with the version that it read as its precondition. */
async function countTo50(store: TransactionStore): Promise<number> {
  await put(store, 'counter', '0');
  const addOne = async (): Promise<void> => {
    for (;;) {
      const item = await store.get(shard, bytes('counter'));
      if (item === undefined) throw new Error('the counter is gone');
      const next = String(Number(text(item.value)) + 1);
      try {
        await store.transact({
          ...shard,
          preconditions: [{ key: bytes('counter'), is: 'version', version: item.version }],
          puts: [{ key: bytes('counter'), value: bytes(next) }],
        });
        return;
      } catch (error) {
        expect(error).toMatchObject({ code: 'PRECONDITION_FAILED' });
      }
    }
  };
  await Promise.all(Array.from({ length: 50 }, addOne));
  return Number(await valueOf(store, 'counter'));
}

describe('concurrent transactions', () => {
  it('never wait for each other in a circle, in whatever order they name their keys', async () => {
    const gate = Promise.withResolvers<undefined>();
    const store = new PlacementGroup({
      engine: new ModelEngine({ beforeApply: () => gate.promise }),
    });
    const putAll = (...keys: string[]): Promise<unknown> =>
      store.transact({
        ...shard,
        preconditions: keys.map((key) => ({ key: bytes(key), is: 'absent' })),
        puts: keys.map((key) => ({ key: bytes(key), value: bytes('') })),
      });
    // In the order of naming, the second would hold a and want b, the third hold b and want a.
    const outcomes = Promise.allSettled([putAll('x'), putAll('a', 'x', 'b'), putAll('b', 'a')]);
    gate.resolve(undefined);
    const statuses = (await outcomes).map(({ status }) => status);
    expect(statuses).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(store.inFlightCount).toBe(0);
  });

  it('lose no update', async () => {
    expect(await countTo50(new PlacementGroup({ engine: new ModelEngine() }))).toBe(50);
  });

  it('lose updates as soon as the locks are switched off', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine(), ignoreLocks: true });
    expect(await countTo50(store)).toBeLessThan(50);
  });

  it('lose updates as soon as preconditions are switched off', async () => {
    const store = new PlacementGroup({ engine: new ModelEngine(), ignorePreconditions: true });
    expect(await countTo50(store)).toBeLessThan(50);
  });
});
