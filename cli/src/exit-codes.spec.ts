import { ERROR_CODES } from '@atelier/contracts';
import { EXIT, exitCode } from './exit-codes';

describe('exit codes', () => {
  test('no error is a success', () => {
    expect(ERROR_CODES.map(exitCode)).not.toContain(EXIT.ok);
  });

  test.each([
    ['INVALID_ARGUMENT', 2],
    ['NOT_FOUND', 2],
    ['ALREADY_EXISTS', 2],
    ['UNAVAILABLE', 3],
    ['DEADLINE_EXCEEDED', 3],
    ['CANCELLED', 4],
    ['RESOURCE_EXHAUSTED', 5],
    ['PERMISSION_DENIED', 6],
    ['INTERNAL', 1],
    ['FAILED_PRECONDITION', 1],
  ] as const)('%s ends with %i', (code, exit) => expect(exitCode(code)).toBe(exit));
});
