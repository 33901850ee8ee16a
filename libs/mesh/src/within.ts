import { AtelierError } from '@atelier/contracts';

/**
 * The answer, or UNAVAILABLE: for questions that the client would keep for twenty seconds or for ever, such as a round
 * trip to a server that is stopped. What comes later is dropped.
 */
export async function within<T>(ms: number, what: string, asked: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AtelierError('UNAVAILABLE', `${what} gave no answer in ${ms} ms`)), ms);
  });
  asked.catch(() => undefined);
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
