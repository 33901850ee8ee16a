/** How a run is interrupted from outside. */
export class Interruption {
  /** Raised with the first of the two. */
  readonly either: AbortSignal;

  /**
   * @param ended raised when the run is to end at once
   * @param stopping raised when it is to be put down where it can go on
   */
  constructor(
    readonly ended: AbortSignal,
    readonly stopping: AbortSignal,
  ) {
    this.either = AbortSignal.any([ended, stopping]);
  }
}
