/**
 * Says how long each file took, for the order of the next run, and ends a run with one line that a script can
 * read: `N passed, N failed`.
 */
import type { Reporter, TestModule } from 'vitest/node';

export default class SummaryReporter implements Reporter {
  readonly #startedMs = new Map<TestModule, number>();

  onTestModuleStart(module: TestModule): void {
    this.#startedMs.set(module, performance.now());
  }

  onTestModuleEnd(module: TestModule): void {
    const seconds = (performance.now() - (this.#startedMs.get(module) ?? NaN)) / 1_000;
    console.log(`${module.relativeModuleId}: ${seconds.toFixed(0)} s`);
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passedCount = 0;
    let skippedCount = 0;
    // A file that could not even be loaded counts as one failed test.
    let failedCount = unhandledErrors.length;
    for (const module of modules) {
      failedCount += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passedCount += 1;
        if (state === 'skipped') skippedCount += 1;
        if (state === 'failed' || state === 'pending') failedCount += 1;
      }
    }
    // What this machine could not run has proved nothing; the names of the tests say why.
    if (skippedCount > 0) console.log(`\n${skippedCount} skipped: NOT TRIED`);
    console.log(`\n${passedCount} passed, ${failedCount} failed`);
  }
}
