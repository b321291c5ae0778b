/** Wrong arguments, or something named in them that cannot be used. */
export const EXIT_USAGE = 2;
/** `check`: the trees differ. `run`: it could not go on. */
export const EXIT_FAILED = 1;
export const EXIT_OK = 0;
