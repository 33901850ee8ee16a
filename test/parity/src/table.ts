// The suite's report: a line a golden, printed as it is computed, and a count.
import type { Tensor } from '@atelier/checkpoint';
import { type Distance, distance, FAR, NO_DISTANCE, worst } from './measure';

/** Between float32 results that differ in their order of summation: forwards, gradients, single updates. */
export const FLOAT = 1e-4;
/** After many steps, each fed by the one before: a training run's losses and end weights, pictures. */
export const RUN = 1e-3;
/** Ids, packed nibbles, maps: equal or wrong. */
export const EXACT = 0;

const NAME_WIDTH = 86;

/** A tensor of one sample and its golden, which may have leading axes of length 1. */
type Sized = Pick<Tensor, 'shape'> & { data: ArrayLike<number> };

export class Table {
  compared = 0;
  private failures: string[] = [];

  constructor(private readonly print: (line: string) => void) {}

  get failed(): number {
    return this.failures.length;
  }

  heading(subject: string): void {
    this.print(`\n${subject.padEnd(NAME_WIDTH)}    max abs   relative        rms  tolerance`);
  }

  /** Shapes must agree but for axes of length 1. */
  tensor(name: string, got: Sized | undefined, expected: Sized, tolerance: number): void {
    if (!got) this.fail(name, 'there is none');
    else if (String(trimmed(got.shape)) !== String(trimmed(expected.shape)))
      this.fail(name, `has shape [${got.shape.join(', ')}], expected [${expected.shape.join(', ')}]`);
    else this.values(name, got.data, expected.data, tolerance);
  }

  values(name: string, got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
    this.add(
      name,
      distance(got, expected),
      tolerance,
      got.length === expected.length ? '' : `${got.length} values instead of ${expected.length}`,
    );
  }

  /** Like values, but only the norm of the difference counts. */
  rms(name: string, got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
    const far = distance(got, expected);
    this.add(name, { ...far, relative: far.rms }, tolerance);
  }

  /** Rows that are results of their own, such as losses or a batch: each is measured against itself, and the worst counts. */
  rows(
    name: string,
    got: readonly ArrayLike<number>[],
    expected: readonly ArrayLike<number>[],
    tolerance: number,
  ): void {
    const count = got.length === expected.length ? '' : `${got.length} rows instead of ${expected.length}`;
    this.add(
      name,
      count ? FAR : expected.map((row, i) => distance(got[i]!, row)).reduce(worst, NO_DISTANCE),
      tolerance,
      count,
    );
  }

  /** Numbers of which each is a result of its own. */
  scalars(name: string, got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
    this.rows(
      name,
      Array.from(got, (value) => [value]),
      Array.from(expected, (value) => [value]),
      tolerance,
    );
  }

  /** Something that is not a number: `problem` is empty when it is as it should be. */
  fact(name: string, problem: string): void {
    if (problem) this.fail(name, problem);
    else this.add(name, NO_DISTANCE, EXACT);
  }

  fail(name: string, problem: string): void {
    this.add(name, FAR, EXACT, problem);
  }

  note(text: string): void {
    this.print(text);
  }

  /** @returns whether everything passed */
  summary(seconds: number): boolean {
    for (const name of this.failures) this.print(`FAIL ${name}`);
    this.print(`${this.compared} goldens compared in ${seconds.toFixed(1)} s, ${this.failed} failed`);
    return this.compared > 0 && this.failed === 0;
  }

  private add(name: string, { absolute, relative, rms }: Distance, tolerance: number, problem = ''): void {
    const ok = problem === '' && relative <= tolerance && rms <= tolerance;
    this.compared++;
    if (!ok) this.failures.push(problem ? `${name}: ${problem}` : name);
    const numbers = [absolute, relative, rms].map((value) => value.toExponential(2).padStart(11)).join('');
    this.print(
      `${name.padEnd(NAME_WIDTH)}${numbers} ${(tolerance === EXACT ? 'exact' : tolerance.toExponential(0)).padStart(10)}  ${ok ? 'ok' : 'FAIL'}${problem && `  ${problem}`}`,
    );
  }
}

function trimmed(shape: number[]): number[] {
  return shape.filter((size) => size !== 1);
}
