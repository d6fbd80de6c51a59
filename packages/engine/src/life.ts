/** Whether an engine serves, and how its service ended; shared by its parts. */
import { hasCode } from '@dozo/base';
import { ClaimError } from '@dozo/claim';
import type { EngineEnd } from './engine-types.ts';
import { EngineError, claimIsOver, engineFailed } from './errors.ts';

/** See the file comment. */
export class Life {
  readonly #path: string;
  #end: EngineEnd | undefined;
  #cause: unknown;
  #finished: Promise<void> = Promise.resolve();
  readonly #ended: Promise<EngineEnd>;
  #tellEnd: (end: EngineEnd) => void = () => undefined;

  constructor(path: string) {
    this.#path = path;
    this.#ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
  }

  get state(): 'open' | EngineEnd['kind'] {
    return this.#end?.kind ?? 'open';
  }

  /** Resolves at once when service ends, for whatever reason. */
  get ended(): Promise<EngineEnd> {
    return this.#ended;
  }

  /** Resolves when nothing is written any more. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  /** It was closed by its user. */
  close(): void {
    this.#become({ kind: 'closed' });
  }

  /**
   * Ends service because of what the device or the claim said. Only the first reason counts.
   *
   * @param finish what remains to be done; its promise is {@link finished}, and must not reject.
   */
  fail(cause: unknown, finish: () => Promise<void>): void {
    if (this.#end !== undefined) return;
    this.#cause = cause;
    const kind =
      cause instanceof ClaimError ? (cause.code === 'CLAIM_FENCED' ? 'fenced' : 'lost') : 'failed';
    const error =
      cause instanceof ClaimError
        ? claimIsOver(this.#path, cause, true)
        : engineFailed(this.#path, cause);
    this.#become({ kind, error });
    this.#finished = finish();
  }

  /** Why the engine does not serve, if it does not. */
  refusal(): EngineError | undefined {
    if (this.#end === undefined) return undefined;
    if (this.#end.kind === 'closed') {
      return new EngineError(`Using the engine on ${this.#path}: it has been closed.`, {
        code: 'ENGINE_CLOSED',
      });
    }
    // An error of its own for each caller, so that each has its own stack.
    if (this.#cause instanceof ClaimError) return claimIsOver(this.#path, this.#cause, true);
    const isRead = hasCode(this.#cause, 'DEVICE_READ_FAILED');
    const reason = isRead ? 'an earlier read failed' : 'an earlier write or flush failed';
    return new EngineError(
      `Using the engine on ${this.#path}: it has stopped because ${reason}. Look at the device, then ` +
        'start again.',
      { code: 'ENGINE_FAILED', path: this.#path, reason },
      { cause: this.#cause },
    );
  }

  /** Throws `ENGINE_CLOSED`, `ENGINE_FAILED`, `ENGINE_FENCED` or `ENGINE_CLAIM_LOST`. */
  assertServing(): void {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
  }

  #become(end: EngineEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#tellEnd(end);
  }
}
