// The part of the Hugging Face hub that a download talks to, on a local port, with faults on demand.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Faults {
  /** Close the connection after this many bytes of a file, once for each file. */
  cutAfter?: number;
  /** Answer range requests with other bytes of the right length, this many times. */
  corrupt?: number;
  /** Ask for this bearer token. */
  token?: string;
  /** Wait before each chunk, so that a test can act in the middle. */
  delayMs?: number;
}

export class StandInHub {
  readonly commit = 'c0ffee'.padEnd(40, '0');
  readonly served: { path: string; range?: string; bytes: number }[] = [];
  private readonly cut = new Set<string>();
  private constructor(
    private readonly repo: string,
    readonly files: Record<string, Buffer>,
    public faults: Faults,
  ) {}
  url = '';
  private server = createServer((request, response) => this.answer(request, response));

  static async start(repo: string, files: Record<string, Buffer>, faults: Faults = {}): Promise<StandInHub> {
    const hub = new StandInHub(repo, files, faults);
    await new Promise<void>((ready) => hub.server.listen(0, '127.0.0.1', ready));
    hub.url = `http://127.0.0.1:${(hub.server.address() as AddressInfo).port}`;
    return hub;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  /** Bytes of files sent, without the one-byte probes for their size. */
  get bytesServed(): number {
    return this.served.filter(({ range }) => range !== 'bytes=0-0').reduce((sum, { bytes }) => sum + bytes, 0);
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url!, this.url);
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (this.faults.token && request.headers.authorization !== `Bearer ${this.faults.token}`)
      return void json(401, { error: 'gated' });
    if (pathname === `/api/models/${this.repo}/revision/main`)
      return void json(200, { _id: '1', id: this.repo, sha: this.commit, tags: [] });
    if (pathname === `/api/models/${this.repo}/tree/${this.commit}`) return void json(200, this.listing());
    const prefix = `/${this.repo}/resolve/${this.commit}/`;
    const path = decodeURIComponent(pathname.slice(prefix.length));
    if (!pathname.startsWith(prefix) || !this.files[path]) return void json(404, { error: 'Repository not found' });
    void this.send(path, request, response);
  }

  private async send(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const whole = this.files[path]!;
    const range = request.headers.range;
    const [begin = 0, end = whole.length - 1] = range ? /bytes=(\d+)-(\d+)/.exec(range)!.slice(1).map(Number) : [];
    let bytes = whole.subarray(begin, end + 1);
    if (range !== 'bytes=0-0' && (this.faults.corrupt ?? 0) > 0) {
      this.faults.corrupt!--;
      bytes = Buffer.from(bytes.map((b) => b ^ 0xff));
    }
    response.writeHead(range ? 206 : 200, {
      etag: `"${createHash('sha256').update(whole).digest('hex')}"`,
      'content-length': bytes.length,
      ...(range && { 'content-range': `bytes ${begin}-${end}/${whole.length}` }),
    });
    const record = { path, range, bytes: 0 };
    this.served.push(record);
    const cut =
      this.faults.cutAfter !== undefined && range !== 'bytes=0-0' && !this.cut.has(path)
        ? this.faults.cutAfter
        : Infinity;
    const chunk = 16 << 10;
    for (let at = 0; at < bytes.length && !response.destroyed; at += chunk) {
      if (this.faults.delayMs) await new Promise((resume) => setTimeout(resume, this.faults.delayMs));
      if (at >= cut) {
        this.cut.add(path);
        return void response.destroy();
      }
      response.write(bytes.subarray(at, at + chunk));
      record.bytes += Math.min(chunk, bytes.length - at);
      if (at + chunk >= cut) await new Promise((sent) => setTimeout(sent, 20));
    }
    response.end();
  }

  private listing(): unknown[] {
    return Object.entries(this.files).map(([path, bytes]) => {
      const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      const lfs = path.endsWith('.safetensors')
        ? { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, pointerSize: 130 }
        : undefined;
      return { type: 'file', path, size: bytes.length, oid: lfs ? '0'.repeat(40) : oid, lfs };
    });
  }
}
