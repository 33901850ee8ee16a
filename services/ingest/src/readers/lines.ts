/** One row of a list: its fields, or why it has none. */
export interface Row {
  /** From 1. */
  readonly line: number;
  /** @throws BadFile */
  fields(): object;
  /** It cannot be used for certain; why, need not be found out for what is not listed. */
  readonly hopeless: boolean;
}

export interface Line {
  /** From 1. */
  readonly line: number;
  /** Nothing of a line that is too long: it is passed over and never kept. */
  readonly text?: string;
}

/** The lines of a text that comes in pieces. */
export async function* linesOf(texts: AsyncIterable<string>, longest: number): AsyncGenerator<Line> {
  let line = 0;
  let rest: string | undefined = '';
  for await (const text of texts) {
    for (let from = 0; from < text.length;) {
      const newline = text.indexOf('\n', from);
      const to = newline < 0 ? text.length : newline;
      rest = rest === undefined || rest.length + to - from > longest ? undefined : rest + text.slice(from, to);
      if (newline < 0) break;
      yield { line: (line += 1), text: rest };
      rest = '';
      from = newline + 1;
    }
  }
  if (rest !== '') yield { line: line + 1, text: rest };
}
