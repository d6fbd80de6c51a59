export { ModelEngine, ModelEngineError } from './model-engine.ts';
export type { ModelEngineOptions } from './model-engine.ts';
