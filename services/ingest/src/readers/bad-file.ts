/**
 * What is wrong with one file that a person gave, in words for that person. It costs that file and no other:
 * readers turn it into a report by name. Anything else thrown is trouble of ours, and is tried again.
 */
export class BadFile extends Error {
  constructor(readonly reason: string) {
    super(reason);
    this.name = 'BadFile';
  }
}

/** Runs `work`; whatever it throws is the file's fault and becomes a BadFile that says `what` failed, and what to do where `remedy` knows. */
export async function blameFile<T>(what: string, remedy: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asBadFile(what, error, remedy);
  }
}

export function asBadFile(what: string, error: unknown, remedy = ''): BadFile {
  if (error instanceof BadFile) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new BadFile(`${what}: ${reason}${remedy && `${reason.endsWith('.') ? '' : '.'} ${remedy}`}`);
}
