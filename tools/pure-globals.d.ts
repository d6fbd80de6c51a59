/**
 * The few globals that packages without I/O may use. They are the same in every JavaScript runtime;
 * anything that is not declared here (timers, process, fetch) does not compile in such a package.
 */
interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
  throwIfAborted(): void;
}
declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}
declare function queueMicrotask(callback: () => void): void;
declare function structuredClone<Value>(
  value: Value,
  options?: { readonly transfer?: readonly ArrayBuffer[] },
): Value;
interface ImportMeta {
  /** Where a task of the Compute port is found again, from another thread. */
  readonly url: string;
}
