import { createServer, isIPv6 } from 'node:net';
import { AtelierError } from '@atelier/contracts';
import { isOutOfHandles, NO_HANDLES } from '../no-handles';

/** The port itself when it is free, else undefined; for 0 any free one. */
export function freePort(port: number, host = '127.0.0.1'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else if (isOutOfHandles(error)) reject(new AtelierError('RESOURCE_EXHAUSTED', NO_HANDLES));
      else if (error.code === 'EACCES')
        reject(
          new AtelierError(
            'INVALID_ARGUMENT',
            `port ${port} needs more rights than this user has: choose one above 1023`,
          ),
        );
      else
        reject(
          new AtelierError(
            'INVALID_ARGUMENT',
            `cannot listen on ${host}:${port} (${error.code}): give an address of this machine`,
          ),
        );
    });
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? undefined) : undefined));
    });
  });
}

/** Where to ask what listens there: of all addresses at once, this machine's own. */
export function httpUrl(host: string, port: number): string {
  const asked = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${isIPv6(asked) ? `[${asked}]` : asked}:${port}`;
}
