import { formatBytes } from '../readers/format-bytes';

/** How a reader process says that it took too much memory: by a signal that nothing else sends it. */
export const OVER_MEMORY = 'SIGUSR2';

/** How a reader process ended before it was through. */
export interface Death {
  /** memory: took too much. time: one file took too long. crash: by itself. killed: by somebody, who is not us. */
  readonly cause: 'memory' | 'time' | 'crash' | 'killed';
  /** "SIGTRAP", "code 1" */
  readonly how: string;
  /** The files it had in hand. */
  readonly inHand: readonly string[];
  /** The end of what it wrote to stderr: for the log. */
  readonly lastWords: string;
}

export interface ReaderLimits {
  /** Resident memory of one reader process, bytes. */
  readonly memoryBytes: number;
  /** Seconds that one file may take. */
  readonly fileSeconds: number;
  /** Another program than the service's own: tests have some that die. */
  readonly program?: string;
}

/** What V8, glib and libvips say before they give up for want of memory. */
const OUT_OF_MEMORY = /out of memory|failed to allocate|cannot allocate|array buffer allocation failed/i;

export function causeOf(signal: NodeJS.Signals | null, lastWords: string): Death['cause'] {
  if (signal === OVER_MEMORY || OUT_OF_MEMORY.test(lastWords)) return 'memory';
  return signal === 'SIGKILL' || signal === 'SIGTERM' ? 'killed' : 'crash';
}

/** The same for the person whose file it was over. */
export function reasonOf({ cause, how }: Death, { memoryBytes, fileSeconds }: ReaderLimits): string {
  switch (cause) {
    case 'memory':
      return `needs more than the ${formatBytes(memoryBytes)} of memory that reading may take: make it smaller, or raise ATELIER_INGEST_MAX_MEMORY_MIB`;
    case 'time':
      return `took more than the ${fileSeconds} seconds that one file may take: make it smaller, or raise ATELIER_INGEST_MAX_FILE_SECONDS`;
    case 'killed':
      return `was being read when the system ended the reader (${how}), twice: it may need more memory than there is; make it smaller`;
    case 'crash':
      return `ends the program that reads it (${how}): it is damaged, or made to do so. Save it anew`;
  }
}
