import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Mesh } from '@atelier/mesh';
import { startTestMesh } from '@atelier/testing';
import { createGateway } from '../src/app';
import { GatewayConfig, gatewaySettings } from '../src/gateway.config';

export type Body = NonNullable<RequestInit['body']>;

export interface TestGateway {
  url: string;
  mesh: Mesh;
  /** Ends nats-server without warning and starts it again on the same port and store. */
  restartNats(): Promise<void>;
  /** Sends a signal to nats-server. */
  signalNats(signal: NodeJS.Signals): void;
  app: NestExpressApplication;
  stop(): Promise<void>;
}

/** A gateway on a free port, over a nats-server of its own. Settings by their names in the environment. */
export async function startGateway(
  settings: Record<string, string> = {},
  store: { maxFileStore?: number } = {},
): Promise<TestGateway> {
  const server = await startTestMesh(store);
  const config = new GatewayConfig(
    gatewaySettings.parse({ ATELIER_NATS_URL: server.url, ATELIER_HTTP_PORT: '0', ...settings }),
  );
  const app = await createGateway(config, server.mesh)
    .then(async (created) => {
      await created.listen(0, '127.0.0.1').catch(async (error: Error) => {
        await created.close().catch(() => undefined); // what had not begun may not know how to end
        throw error;
      });
      return created;
    })
    .catch(async (error: Error) => {
      await server.stop();
      throw error;
    });
  const { port } = app.getHttpServer().address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    mesh: server.mesh,
    restartNats: server.restartNats,
    signalNats: server.signalNats,
    app,
    stop: async () => {
      await app.close();
      await server.stop();
    },
  };
}

export interface Asked {
  method?: string;
  host: string;
  headers?: Record<string, string>;
  body?: string;
}

/** As fetch, but under any Host: a browser's own fetch lets nobody choose it, and neither does Node's. */
export function askAs(url: string, asked: Asked): Promise<{ status: number; text: string }> {
  const { method = 'GET', host, headers = {}, body } = asked;
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers: { ...headers, host } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text })).on('error', reject);
    });
    request.on('error', reject).end(body);
  });
}

/** A form as a browser sends it: fields, then files. */
export function form(fields: Record<string, string>, files: Record<string, string | Uint8Array> = {}): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  for (const [name, bytes] of Object.entries(files)) data.append('files', new Blob([bytes as string]), name);
  return data;
}

export async function postJson(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

export interface SentEvent {
  id: number;
  data: Record<string, unknown>;
}

/** Reads server-sent events to the end of the stream; comments are kept apart and told as they come, by their number so far. */
export async function readEvents(
  response: Response,
  { onComment }: { onComment?: (count: number) => void } = {},
): Promise<{ events: SentEvent[]; comments: string[] }> {
  const events: SentEvent[] = [];
  const comments: string[] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      if (block.startsWith(':')) {
        comments.push(block);
        onComment?.(comments.length);
      }
      const data = field('data');
      if (data === undefined) continue;
      events.push({ id: Number(field('id')), data: JSON.parse(data) as Record<string, unknown> });
    }
  }
  return { events, comments };
}
