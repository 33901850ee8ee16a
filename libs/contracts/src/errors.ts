import { StatusCode, type IError } from './messages';

const PREFIX = 'STATUS_CODE_';
type CodeOf<Member> = Member extends `${typeof PREFIX}${infer Code}` ? Exclude<Code, 'UNSPECIFIED'> : never;

/** gRPC's sixteen codes: what a caller can do about an error, not where it came from. */
export type ErrorCode = CodeOf<keyof typeof StatusCode>;

/** By gRPC's numbers, which begin at 1. */
export const ERROR_CODES: readonly ErrorCode[] = Object.entries(StatusCode)
  .filter(([, value]) => typeof value === 'number' && value !== StatusCode.STATUS_CODE_UNSPECIFIED)
  .map(([member]) => member.slice(PREFIX.length) as ErrorCode);

/** An error a person reads: its message names the input, the reason and the remedy. */
export class AtelierError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: Readonly<Record<string, string>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'AtelierError';
  }
}

/** An error as a message; its code also in the words of 0.1.0, one of whose services may read it. */
export function errorMessage(code: ErrorCode, message: string, details: Readonly<Record<string, string>>): IError {
  return { code, status: StatusCode[`${PREFIX}${code}`], message, details };
}

/** What such a message says. A code that this version does not know is UNKNOWN. */
export function errorOf({ status, code, message, details }: IError): AtelierError {
  const said = ERROR_CODES.find((known) => (status ? StatusCode[`${PREFIX}${known}`] === status : known === code));
  return new AtelierError(said ?? 'UNKNOWN', message ?? '', details ?? {});
}
