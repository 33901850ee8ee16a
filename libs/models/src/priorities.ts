/**
 * Who goes first among those that wait for a device's memory: the larger number, then who has waited longer. Who holds
 * memory is told when somebody more urgent waits, and lets go where that costs least.
 */
export const leasePriorities = {
  /** A run takes hours, and on a card all the memory there is: asked for pictures all the time, it would never begin. */
  training: 10,
  /**
   * Of pictures and of captions. Before drawing, which waits for the embeds of its prompts. Behind training, which on a
   * shared device asks for memory only when its samples are encoded: what is encoded meanwhile is for a later run.
   */
  encoding: 5,
  /** A picture takes seconds to minutes, after which its memory is given up; nobody waits for pictures but people. */
  drawing: 0,
} as const;
