/**
 * A value, or a promise of it.
 *
 * Reads that memory can answer are answered at once: a promise would cost a turn of the event loop and
 * an allocation for each. Callers await only what is a promise.
 */
export type MaybePromise<Value> = Value | Promise<Value>;

/** Whether it must be awaited. */
export function isPromise<Value>(value: MaybePromise<Value>): value is Promise<Value> {
  return value instanceof Promise;
}
