import { EngineError } from './errors';

/** A seed or id as the addon takes it. */
export function u64(value: bigint | number, name: string): bigint {
  const whole = typeof value === 'bigint' ? value : Number.isSafeInteger(value) ? BigInt(value) : -1n;
  if (whole < 0n || whole >= 2n ** 64n)
    throw new EngineError(
      'INVALID_ARGUMENT',
      `${name} ${value}: expected a whole number from 0 to 2^64 - 1; give numbers above 2^53 as BigInt`,
    );
  return whole;
}
