import { AtelierError, ERROR_CODES, type ErrorCode } from '@atelier/contracts';
import { exitCode, type ExitCode } from './exit-codes';
import { isOutOfHandles, NO_HANDLES } from './no-handles';

/** What a command says. Results go to stdout, everything on the way to stderr; with --json stdout has one JSON object a line and nothing else. */
export class Output {
  constructor(readonly json: boolean) {}

  /** A line of the result, for people. */
  line(text = ''): void {
    if (!this.json) process.stdout.write(`${text}\n`);
  }

  /** A line of the result, for scripts. */
  object(value: object): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** What happens on the way, for people. */
  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** Rows under headings, as wide as their widest cell; nothing at all reads as `empty`. */
  table(headings: readonly string[], rows: readonly (readonly string[])[], empty: string): void {
    if (rows.length === 0) return this.line(empty);
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...rows.map((row) => row[column]!.length)),
    );
    for (const row of [headings, ...rows])
      this.line(
        row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd(),
      );
  }

  /** Says an error in one line and gives its exit code. */
  error(error: unknown): ExitCode {
    const { code, message, details } = asAtelierError(error);
    this.object({ type: 'error', code, message, ...(Object.keys(details).length > 0 && { details }) });
    process.stderr.write(`atelier: ${message.trim().replace(/\n\s*/g, '; ')}\n`);
    return exitCode(code);
  }
}

/** Files that cannot be read or written are a person's input; anything else unknown is a failure. Never a stack. */
function asAtelierError(error: unknown): AtelierError {
  if (error instanceof AtelierError) return error;
  const { code, path, message, syscall } = error as NodeJS.ErrnoException;
  if (ERROR_CODES.includes(code as ErrorCode)) return new AtelierError(code as ErrorCode, message);
  if (code === 'ENOSPC')
    return new AtelierError(
      'RESOURCE_EXHAUSTED',
      `the disk is full${path ? ` at ${path}` : ''}: make room, then try again`,
    );
  if (isOutOfHandles(error)) return new AtelierError('RESOURCE_EXHAUSTED', NO_HANDLES);
  if (code === 'EROFS')
    return new AtelierError(
      'INVALID_ARGUMENT',
      `${path ?? syscall}: its file system is read-only. Choose a place that can be written`,
    );
  if (code === 'EACCES' || code === 'EPERM')
    return new AtelierError(
      'INVALID_ARGUMENT',
      `${path ?? syscall}: permission denied. Choose a place this user may use`,
    );
  if (code === 'ENOENT' && path) return new AtelierError('INVALID_ARGUMENT', `${path} does not exist`);
  return new AtelierError('INTERNAL', message ?? String(error));
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(count: number): string {
  const power = count < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '?';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')}m`;
}

export function when(date: Date | undefined): string {
  return date ? date.toISOString().slice(0, 16).replace('T', ' ') : '';
}
