/**
 * The order of test files: the longest first, so that all workers are done at about the same time.
 *
 * What Vitest remembers of the last run is not there in a fresh clone, where it would take the largest
 * file for the longest. So the configurations say how long their long ones take, measured on two cores.
 * The times decide nothing but the order.
 */
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** A sequencer for files of which the long ones, by their path from `root`, take so many seconds. */
export function longestFirst(
  root: string,
  secondsOf: Readonly<Record<string, number>>,
): typeof BaseSequencer {
  const secondsFor = ({ moduleId }: TestSpecification): number =>
    secondsOf[relative(root, moduleId)] ?? 0;
  return class extends BaseSequencer {
    override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
      const sorted = files.toSorted(
        (left, right) => groupOf(left) - groupOf(right) || secondsFor(right) - secondsFor(left),
      );
      return Promise.resolve(sorted);
    }
  };
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder;
}
