import { SimulatedClock } from '@dozo/simulator';
import { describe, expect, it } from 'vitest';
import { Gate } from './admission.ts';

function newGate(total: number): { readonly gate: Gate; readonly clock: SimulatedClock } {
  const clock = new SimulatedClock({ seed: 1 });
  return { clock, gate: new Gate({ clock, total, waitersMax: 2, waitMs: 100 }) };
}

describe('gate', () => {
  it('gives what is free without a promise', () => {
    const { gate } = newGate(10);
    expect(gate.take(4)).toBeUndefined();
    expect(gate.take(6)).toBeUndefined();
    expect(gate.used).toBe(10);
  });

  it('lets nobody pass who came later, however little it wants', async () => {
    const { gate } = newGate(10);
    expect(gate.take(8)).toBeUndefined();
    const order: string[] = [];
    const large = gate.take(9)?.then(() => order.push('large'));
    const small = gate.take(1)?.then(() => order.push('small'));
    expect(gate.waiterCount).toBe(2);
    gate.give(8);
    await Promise.all([large, small]);
    expect(order).toEqual(['large', 'small']);
    expect(gate.used).toBe(10);
  });

  it('lets in who fits when the one in front has given up', async () => {
    const { gate, clock } = newGate(10);
    expect(gate.take(8)).toBeUndefined();
    const large = gate.take(9)?.catch((error: unknown) => (error as { code: string }).code);
    await clock.advance(50);
    const small = gate.take(2)?.then(() => 'in');
    await clock.advance(50);
    expect(await large).toBe('SlowDown');
    expect(await small).toBe('in');
    expect(gate.used).toBe(10);
  });

  it('refuses who waited too long, and who comes to a full line', async () => {
    const { gate, clock } = newGate(1);
    expect(gate.take(1)).toBeUndefined();
    const waiting = gate.take(1)?.catch((error: unknown) => (error as { code: string }).code);
    const other = gate.take(1)?.catch((error: unknown) => (error as { code: string }).code);
    expect(() => gate.take(1)).toThrow(expect.objectContaining({ code: 'SlowDown' }) as Error);
    await clock.advance(100);
    expect(await Promise.all([waiting, other])).toEqual(['SlowDown', 'SlowDown']);
    expect(gate.refusedCount).toBe(3);
    expect(gate.waiterCount).toBe(0);
    gate.give(1);
    expect(gate.used).toBe(0);
  });
});
