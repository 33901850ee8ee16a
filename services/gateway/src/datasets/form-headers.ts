import { AtelierError } from '@atelier/contracts';

/** What the headers of one part say. */
export interface PartHeaders {
  /** Of the field. */
  name: string;
  /** Of the file; a part without one is a field. */
  fileName?: string;
}

const TOKEN = "[!#$%&'*+.^_`|~\\w-]+";
/** A backslash before anything but a quote or another is itself: some clients send C:\\pictures\\a.png as it is. */
const PARAMETER = new RegExp(`\\s*;\\s*(${TOKEN})=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;"]+))`, 'y');
/** RFC 2046 has no longer ones. */
const LONGEST_BOUNDARY = 70;

/** The boundary that a request's content-type names. */
export function formBoundary(contentType: string | undefined): string {
  const type = readHeader(contentType ?? '');
  const boundary = type?.value === 'multipart/form-data' ? type.parameters.get('boundary') : undefined;
  if (boundary && boundary.length <= LONGEST_BOUNDARY) return boundary;
  const given =
    contentType === undefined ? 'no content-type' : `content-type ${JSON.stringify(contentType.slice(0, 100))}`;
  throw new AtelierError(
    'INVALID_ARGUMENT',
    `this is not an upload (${given}): send multipart/form-data with a boundary of 1 to ${LONGEST_BOUNDARY} characters`,
  );
}

/** Reads the lines between a boundary and a part's content; the first is what follows the boundary in its own line. */
export function partHeaders(part: number, lines: string): PartHeaders {
  const [padding = '', ...headers] = lines.split('\r\n');
  if (padding.trim() !== '') throw malformed(`${JSON.stringify(padding.slice(0, 40))} follows a boundary in its line`);
  let disposition: string | undefined;
  for (const line of headers) {
    const [, name, value = ''] = new RegExp(`^(${TOKEN}):[ \\t]*([^\\r\\n\\0]*)$`).exec(line) ?? [];
    if (name === undefined) throw malformed(`${JSON.stringify(line.slice(0, 80))} is no header of part ${part}`);
    if (/^content-disposition$/i.test(name)) disposition ??= value;
    if (/^content-transfer-encoding$/i.test(name) && !/^(binary|7bit|8bit)\s*$/i.test(value))
      throw malformed(`part ${part} is encoded as ${JSON.stringify(value.slice(0, 40))}: send its bytes as they are`);
  }
  if (disposition === undefined) throw malformed(`part ${part} has no content-disposition`);
  return readDisposition(part, disposition);
}

function readDisposition(part: number, disposition: string): PartHeaders {
  const read = readHeader(disposition);
  const name = read?.parameters.get('name');
  if (read?.value !== 'form-data' || name === undefined) {
    const given = JSON.stringify(disposition.slice(0, 80));
    throw malformed(`part ${part} has the content-disposition ${given}, where form-data with a name is needed`);
  }
  const encoded = read.parameters.get('filename*');
  return { name, fileName: encoded === undefined ? read.parameters.get('filename') : decoded(part, encoded) };
}

/** RFC 5987: charset'language'percent-encoded. */
function decoded(part: number, encoded: string): string {
  const [, text] = /^utf-8'[^']*'(.*)$/i.exec(encoded) ?? [];
  try {
    if (text !== undefined) return decodeURIComponent(text);
  } catch {
    // as if its charset were unknown
  }
  throw malformed(`part ${part} has the file name ${JSON.stringify(encoded.slice(0, 80))}, which is not UTF-8`);
}

/**
 * A header's value and the parameters after it; undefined when it is written wrongly. What is said twice counts as it
 * was said first.
 */
function readHeader(header: string): { value: string; parameters: Map<string, string> } | undefined {
  const [value = ''] = header.split(';', 1);
  const parameters = new Map<string, string>();
  let at = value.length;
  while (!/^[\s;]*$/.test(header.slice(at))) {
    PARAMETER.lastIndex = at;
    const found = PARAMETER.exec(header);
    if (!found) return undefined;
    at = PARAMETER.lastIndex;
    const [, name = '', quoted = '', bare] = found;
    const key = name.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, bare ?? quoted.replace(/\\(["\\])/g, '$1'));
  }
  return { value: value.trim().toLowerCase(), parameters };
}

export function malformed(reason: string): AtelierError {
  return new AtelierError('INVALID_ARGUMENT', `the form cannot be read (${reason}): nothing of it was kept`);
}
