/** A refusal as the gateway words it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export type RunEvent = { type: string } & Record<string, unknown>;
export type Files = Record<string, string | Uint8Array>;

export interface Dataset {
  id: string;
  status: string;
  samples: number;
  error: string | null;
  rejected: { name: string; reason: string }[];
}
export interface Finetune {
  id: string;
  status: string;
  step: number;
  loss: number;
  error: string | null;
  adapter: string | null;
}
export interface Drawn {
  id: string;
  seed: number;
  data: { b64_json?: string; url?: string }[];
}

/** The gateway as a program uses it that knows nothing of us but the OpenAPI document. */
export class Api {
  constructor(
    readonly url: string,
    private readonly token?: string,
  ) {}

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.token !== undefined && !headers.has('authorization')) headers.set('authorization', `Bearer ${this.token}`);
    const response = await fetch(this.url + path, { ...init, headers });
    if (response.ok) return response;
    const { error } = (await response.json()) as { error: { message: string } };
    throw new Refused(response.status, error.message);
  }

  async json<T>(path: string, init?: RequestInit): Promise<T> {
    return (await (await this.request(path, init)).json()) as T;
  }

  async bytes(path: string): Promise<Buffer> {
    return Buffer.from(await (await this.request(path)).arrayBuffer());
  }

  /** As a browser sends it: the fields, then the files. Resolves when they are acknowledged. */
  upload(fields: Record<string, string>, files: Files, headers: Record<string, string> = {}): Promise<Dataset> {
    const body = new FormData();
    for (const [name, value] of Object.entries({ width: '64', height: '64', ...fields })) body.append(name, value);
    for (const [name, content] of Object.entries(files)) body.append('files', new Blob([content]), name);
    return this.json('/v1/datasets', { method: 'POST', body, headers });
  }

  finetune(body: object, headers: Record<string, string> = {}): Promise<Finetune> {
    return this.post('/v1/finetunes', body, headers);
  }

  draw(body: object, headers: Record<string, string> = {}): Promise<Drawn> {
    return this.post('/v1/images/generations', { size: '64x64', steps: 2, ...body }, headers);
  }

  private post<T>(path: string, body: object, headers: Record<string, string>): Promise<T> {
    return this.json(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  /** A run's events as they come, to the one that says how it ended. A connection that breaks is taken up again where it was, as EventSource does. */
  async *follow(run: string): AsyncGenerator<RunEvent> {
    let last = '';
    for (;;) {
      try {
        const response = await this.request(`/v1/finetunes/${run}/events`, {
          headers: last ? { 'last-event-id': last } : {},
        });
        if (response.status === 204) return;
        for await (const { id, data } of serverSentEvents(response)) {
          last = id;
          yield data;
          if (['finished', 'failed', 'cancelled'].includes(data.type)) return;
        }
      } catch (error) {
        if (error instanceof Refused && error.status < 500) throw error;
      }
    }
  }

  /** All of a run's events, when it is over. */
  async followed(run: string): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    for await (const event of this.follow(run)) events.push(event);
    return events;
  }
}

async function* serverSentEvents(response: Response): AsyncGenerator<{ id: string; data: RunEvent }> {
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      if (fields['data'] !== undefined) yield { id: fields['id'] ?? '', data: JSON.parse(fields['data']) as RunEvent };
    }
  }
}
