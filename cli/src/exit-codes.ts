import type { ErrorCode } from '@atelier/contracts';

/** What the shell gets. Scripts may rely on these numbers. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, cancelled: 4, exhausted: 5, denied: 6 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_HELP = `
Exit codes:
  0  done
  1  failed: the run, the drawing or a check did not succeed
  2  wrong usage or input: an option, a file or a name that is not there or is taken
  3  nothing running, or not reachable: no mesh, no service, no network
  4  cancelled
  5  not enough memory or disk
  6  access denied: a token is missing or has no access`;

const BY_CODE: Partial<Record<ErrorCode, ExitCode>> = {
  CANCELLED: EXIT.cancelled,
  INVALID_ARGUMENT: EXIT.usage,
  OUT_OF_RANGE: EXIT.usage,
  NOT_FOUND: EXIT.usage,
  ALREADY_EXISTS: EXIT.usage,
  UNAVAILABLE: EXIT.unreachable,
  DEADLINE_EXCEEDED: EXIT.unreachable,
  RESOURCE_EXHAUSTED: EXIT.exhausted,
  PERMISSION_DENIED: EXIT.denied,
  UNAUTHENTICATED: EXIT.denied,
};

export function exitCode(code: ErrorCode): ExitCode {
  return BY_CODE[code] ?? EXIT.failed;
}
