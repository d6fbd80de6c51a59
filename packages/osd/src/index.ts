export { PlacementGroup } from './placement-group.ts';
export type { PlacementGroupOptions } from './placement-group.ts';
