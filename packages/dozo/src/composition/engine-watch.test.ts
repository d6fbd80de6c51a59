import type { EngineStats } from '@dozo/engine';
import { SimulatedClock } from '@dozo/simulator';
import { describe, expect, it } from 'vitest';

import { ENGINE_WATCH_MS } from '../limits.ts';
import { watchEngine } from './engine-watch.ts';

class FakeEngine {
  state: EngineStats['state'] = 'open';
  lookCount = 0;

  stats(): EngineStats {
    this.lookCount += 1;
    return { state: this.state } as EngineStats;
  }
}

describe('watchEngine', () => {
  it('notices a failure without a request', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const engine = new FakeEngine();
    let hasFailed = false;
    void watchEngine(engine, clock).failed.then(() => (hasFailed = true));
    await clock.advance(10 * ENGINE_WATCH_MS);
    expect(hasFailed).toBe(false);
    engine.state = 'failed';
    await clock.advance(ENGINE_WATCH_MS);
    expect(hasFailed).toBe(true);
  });

  it('looks no more once it was stopped', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const engine = new FakeEngine();
    watchEngine(engine, clock).stop();
    const { lookCount } = engine;
    await clock.advance(10 * ENGINE_WATCH_MS);
    expect(engine.lookCount).toBe(lookCount);
  });
});
