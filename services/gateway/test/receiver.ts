import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  headers: Record<string, string>;
  body: string;
  event: { id: string; type: string; subject: string; time: string; source: string; data: Record<string, unknown> };
}

/** A receiver that answers as it is told, and keeps what came. */
export async function receiver(answer: (nth: number, response: ServerResponse) => void) {
  const received: Received[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      received.push({
        headers: request.headers as Record<string, string>,
        body,
        event: JSON.parse(body) as Received['event'],
      });
      answer(received.length, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return { url, received, stop: () => new Promise((resolve) => server.close(resolve)) };
}

export const status = (code: number) => (_nth: number, response: ServerResponse) =>
  void response.writeHead(code).end('{}');
