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

/** Runs `work`; whatever it throws is the file's fault and becomes a BadFile that says `what` failed. */
export async function blameFile<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asBadFile(what, error);
  }
}

export function asBadFile(what: string, error: unknown): BadFile {
  if (error instanceof BadFile) return error;
  return new BadFile(`${what}: ${error instanceof Error ? error.message : String(error)}`);
}
