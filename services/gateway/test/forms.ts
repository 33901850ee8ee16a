import { request as httpRequest } from 'node:http';

export const BOUNDARY = 'b';

/** Random, but the same at every start from one seed (mulberry32). */
export class Random {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }
}

/** What clients send, and what only a hostile or broken one would. */
interface Choices {
  usual: readonly string[];
  strange: readonly string[];
}

const FIRST: Choices = { usual: [''], strange: ['before the first part\r\n', '--', '\r\n'] };
const FILE_NAMES: Choices = {
  usual: ['a.png', 'a.txt', '', 'é.png', 'set/a.png', '..\\a.png', "o'hara; a.png"],
  strange: ['.', '..', '/', '../..', 'C:\\x\\..', 'x'.repeat(3000), '"', '\\', 'a"b', '\u0000', '%00', '\r', '\n'],
};
const FIELDS: Choices = {
  usual: ['trigger'],
  strange: ['width', 'flip', 'colour', '', '__proto__', 'constructor', 'n'.repeat(200)],
};
const VALUES: Choices = { usual: ['herons', '', 'é', '\r\n'], strange: ['..', '\u0000', 'x'.repeat(70_000)] };
const BYTES: Choices = {
  usual: ['x', 'pixels', '\r', '\r\n', '\r\n--', '\r\n--\r\n', '--b', '\r\n\r\n', 'p'.repeat(20_000)],
  strange: ['', '\r\n--b', 'p'.repeat(80_000)],
};
const DISPOSITIONS: Choices = {
  usual: ['form-data'],
  strange: ['attachment', '', 'form-data;;', ';', 'form-data; name'],
};
const TYPES: Choices = {
  usual: ['', 'Content-Type: image/png\r\n'],
  strange: [
    'no header\r\n',
    ': x\r\n',
    ' folded\r\n',
    'x: \u0000\r\n',
    `long: ${'x'.repeat(20_000)}\r\n`,
    '\r\n',
    'Content-Type: a;b;;c="\r\n',
  ],
};
const ENDS: Choices = {
  usual: ['--b--\r\n', '--b--', '--b--\r\nafter the end\r\n--b\r\n'],
  strange: ['--b-', '--b', '', '--c--\r\n', '--b\r\n', '--b  '],
};

/** A form by a grammar that is strange in none, some or many of its places. */
export function randomForm(random: Random): Buffer {
  const strangeness = random.pick([0, 0.02, 0.2]);
  const choose = ({ usual, strange }: Choices): string => random.pick(random.chance(strangeness) ? strange : usual);
  const filePart = (): string => {
    const fileName = `${random.chance(0.9) ? 'filename=' : "filename*=utf-8''"}"${choose(FILE_NAMES)}"`;
    const disposition = `${choose(DISPOSITIONS)}; name="files"; ${fileName}`;
    return part(`Content-Disposition: ${disposition}\r\n${choose(TYPES)}`, choose(BYTES), !random.chance(strangeness));
  };
  const fieldPart = (): string =>
    part(`Content-Disposition: ${choose(DISPOSITIONS)}; name="${choose(FIELDS)}"\r\n`, choose(VALUES));
  const parts = [part('Content-Disposition: form-data; name="name"\r\n', 'herons')];
  if (random.chance(0.5)) parts.push(fieldPart());
  for (let files = 1 + random.below(3); files > 0; files--) parts.push(filePart());
  if (random.chance(strangeness)) parts.push(fieldPart());
  if (random.chance(strangeness)) parts.shift();
  return Buffer.from(choose(FIRST) + parts.join('') + choose(ENDS));
}

/** Without its last line break a part runs into the boundary after it. */
function part(head: string, body: string, whole = true): string {
  return `--${BOUNDARY}\r\n${head}\r\n${body}${whole ? '\r\n' : ''}`;
}

/** Some bytes of it changed, lost or said again. */
export function mutated(random: Random, form: Buffer): Buffer {
  let bytes = Buffer.from(form);
  for (let changes = 1 + random.below(3); changes > 0 && bytes.length > 0; changes--) {
    const at = random.below(Math.min(bytes.length, 500));
    const end = at + 1 + random.below(5);
    const change = random.below(3);
    if (change === 0) bytes[at] = random.pick([0, 10, 13, 34, 45, 58, 59, 255, random.below(256)]);
    else if (change === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    else bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  }
  return bytes;
}

export interface Sent {
  status: number;
  text: string;
}

const PATIENCE_MS = 10_000;

/**
 * Sends these pieces, one write each. `hangUp`: then the connection is cut before the form is over, and there is no
 * answer.
 */
export function sendForm(
  url: string,
  pieces: Buffer[],
  { type = `multipart/form-data; boundary=${BOUNDARY}`, hangUp = false } = {},
): Promise<Sent | undefined> {
  const length = pieces.reduce((sum, { length }) => sum + length, 0);
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}/v1/datasets`, {
      method: 'POST',
      headers: { 'content-type': type, 'content-length': length + (hangUp ? 1 : 0) },
      timeout: PATIENCE_MS,
    });
    request.on('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE_MS / 1000} s`)));
    request.on('error', (error) => (hangUp ? resolve(undefined) : reject(error)));
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text })).on('error', reject);
    });
    for (const piece of pieces) request.write(piece);
    if (hangUp) request.write('', () => request.destroy());
    else request.end();
  });
}

/** The same bytes in pieces of any length, as a network may deliver them. */
export function inPieces(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieces.at(-1)!.length)
    pieces.push(bytes.subarray(at, at + 1 + random.below(random.chance(0.5) ? 3 : bytes.length)));
  return pieces.length > 200 ? [bytes] : pieces;
}
