// SMPL's 22 joints: who hangs on whom, and which side is which.

export const PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19];
export const LEFT = new Set([1, 4, 7, 10, 13, 16, 18, 20]);
export const RIGHT = new Set([2, 5, 8, 11, 14, 17, 19, 21]);
export const FEET = [7, 8, 10, 11]; // left and right ankle, left and right foot
