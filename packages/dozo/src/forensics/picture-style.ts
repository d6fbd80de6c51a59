/** Measures and colours of the picture. */

/** All in pixels of the picture's own coordinates. */
export const WIDTH = 1280;
export const MARGIN = 32;
/** Where time begins: left of it stand the names of the holders. */
export const TIME_LEFT = 330;
export const TIME_RIGHT = WIDTH - MARGIN;
export const LANE_HEIGHT = 54;
export const RUN_LANE_HEIGHT = 34;
export const BAR_TOP = 10;
export const BAR_HEIGHT = 16;
/** A bar is never thinner than this, however short the time. */
export const BAR_WIDTH_MIN = 4;
export const TICKS_MAX = 8;

/** About how wide a character of the small fonts is: texts cannot be measured here. */
export const SMALL_CHARACTER_WIDTH = 6.1;
export const NAME_CHARACTER_WIDTH = 7.2;

/**
 * Classes instead of attributes, so that a dark surrounding gets other colours. Colour never carries a
 * meaning alone: each mark has a shape of its own too.
 */
export const STYLE = `
svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
.paper{fill:#ffffff}
.ink{fill:#1f2933}
.soft{fill:#5b6875}
.title{font-size:20px;font-weight:600}
.heading{font-size:14px;font-weight:600}
.verdict{font-size:14px}
.name{font-size:13px;font-weight:600}
.small{font-size:11.5px}
.rule{stroke:#d5dbe1;stroke-width:1}
.band{fill:#f4f6f8}
.held{fill:#3b7dd8}
.wish{fill:#ffffff;stroke:#3b7dd8;stroke-width:1.5;stroke-dasharray:4 3}
.after{stroke:#b3261e;stroke-width:1.5}
.hatch{stroke:#b3261e;stroke-width:2}
.hatchback{fill:#fbe9e7}
.late{fill:#b3261e}
.fence{stroke:#1f2933;stroke-width:1.5;stroke-dasharray:5 3}
.fencefoot{fill:#1f2933}
.failed{stroke:#8a5a00;stroke-width:3;fill:none}
.live{fill:#1a8f4c}
.alarm{fill:#b3261e}
@media (prefers-color-scheme:dark){
.paper{fill:#14181d}
.ink{fill:#e6eaee}
.soft{fill:#9aa7b4}
.rule{stroke:#333c46}
.band{fill:#1b2127}
.held{fill:#5b9bf0}
.wish{fill:#14181d;stroke:#5b9bf0}
.after{stroke:#ff8a80}
.hatch{stroke:#ff8a80}
.hatchback{fill:#3a1f1d}
.late{fill:#ff8a80}
.fence{stroke:#e6eaee}
.fencefoot{fill:#e6eaee}
.failed{stroke:#ffc766}
.live{fill:#4cc47e}
.alarm{fill:#ff8a80}
}
`;
