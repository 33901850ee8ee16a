/**
 * Told by the readers which file they are at. Whoever runs them can then say what a reader died over, how long one file
 * takes, and may have a file left out that an earlier reader died over.
 */
export interface InHand {
  /**
   * Runs `work`, which reads `item` and nothing else.
   * @throws BadFile where the file is to be left out, or where what the work left running fails behind its back
   */
  over<T>(item: string, work: () => Promise<T>): Promise<T>;
  /** The work in hand is long, and gets on. */
  progress(): void;
}

/** For readers that nobody watches. */
export const unwatched: InHand = { over: (_item, work) => work(), progress: () => undefined };
