/** Of all of Atelier: as its packages and its image have it. */
export const VERSION = '0.1.0';
