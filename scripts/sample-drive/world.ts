/**
 * A small simulated drive: one car going west at sunset. At GLARE_FROM_S the low sun blinds the
 * front camera and the planner brakes for nothing, the incident that run-8421 is kept for.
 * Everything is a pure function of time, so that each recording has the same bytes.
 */
export const DURATION_S = 20;
export const GLARE_FROM_S = 12;
export const GLARE_TO_S = 15;
/** Start of the run, nanoseconds since 1970 UTC: 2025-06-14T17:30:00Z. */
export const START_NS = 1_749_922_200_000_000_000n;

export interface Pose {
  /** Metres east and north of the start. */
  readonly x: number;
  readonly y: number;
  /** Metres a second. */
  readonly speed: number;
  /** Metres a second squared; negative when braking. */
  readonly acceleration: number;
}

export function inGlare(seconds: number): boolean {
  return seconds >= GLARE_FROM_S && seconds < GLARE_TO_S;
}

export function poseAt(seconds: number): Pose {
  const cruise = 13.9;
  const brake = 3.2;
  const braked = Math.min(Math.max(seconds - GLARE_FROM_S, 0), GLARE_TO_S - GLARE_FROM_S);
  const speed = cruise - brake * braked;
  const lost = brake * braked * (seconds - GLARE_FROM_S - braked / 2);
  return {
    x: -(cruise * seconds - Math.max(lost, 0)),
    y: 0.4 * Math.sin(seconds / 3),
    speed,
    acceleration: inGlare(seconds) ? -brake : 0,
  };
}

/** A repeatable stream of numbers in [0, 1), so that two recordings agree to the byte. */
export function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
