import { BadFile } from './bad-file';

/** Longest path kept: names travel in messages and logs. */
const MAX_PATH = 1024;

/**
 * A name from outside as a clean relative path with forward slashes.
 * @throws BadFile for what would leave its folder (`../`, `/etc`, `C:\`) or cannot be shown (control characters).
 */
export function cleanPath(raw: string): string {
  const path = raw.replace(/\\/g, '/').normalize('NFC');
  if (path.length > MAX_PATH) throw new BadFile(`has a name of ${path.length} characters; ${MAX_PATH} are allowed`);
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(path)) throw new BadFile('has a control character in its name');
  if (path.startsWith('/') || /^[a-zA-Z]:/.test(path))
    throw new BadFile('has an absolute path; a relative one is needed');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new BadFile('has a path that leaves its folder (".."): name files by their place within it');
  if (parts.length === 0) throw new BadFile('has an empty name');
  return parts.join('/');
}

/** A raw name made fit to print in a report, since a bad name is what is being reported. */
export function printable(raw: string): string {
  // eslint-disable-next-line no-control-regex
  const shown = raw.replace(/[\u0000-\u001f\u007f]/g, '\uFFFD');
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
}

export function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash + 1);
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** `cats/tom.JPG` without `.JPG`. */
export function stemOf(path: string): string {
  const base = baseOf(path);
  const dot = base.lastIndexOf('.');
  return dot <= 0 ? path : path.slice(0, path.length - (base.length - dot));
}
