const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1536` as "1.5 KiB": for messages to people. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`;
}
