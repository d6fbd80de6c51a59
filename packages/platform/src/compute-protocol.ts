/** What a thread that asks for computations and the one that does them say to each other. */

/** Asks for one task. `input` has been copied or moved. */
export interface TaskRequest {
  readonly id: number;
  /** Address of the module that exports the task, and the name of the export. */
  readonly module: string;
  readonly name: string;
  readonly input: unknown;
}

/** What a task threw: classes do not pass from thread to thread, so it is told in words. */
export interface TaskThrown {
  readonly isAssertion: boolean;
  readonly message: string;
  readonly stack: string | undefined;
}

/** Answers the request of the same id. */
export type TaskResponse =
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly thrown: TaskThrown };
