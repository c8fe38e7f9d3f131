/** What to do about an object whose bytes are not what its name says. */
export const CORRUPT_HINT = 'restore this object from a copy of the repository';
