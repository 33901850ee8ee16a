// Texts of the command line as values. Only their form is checked here; limits are the contracts' and checked where everyone's are.
import { InvalidArgumentError } from 'commander';

export function integer(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new InvalidArgumentError('Use a whole number, such as 16.');
  return Number(text);
}

export function decimal(text: string): number {
  if (text.trim() === '' || !Number.isFinite(Number(text)))
    throw new InvalidArgumentError('Use a number, such as 0.5 or 1e-4.');
  return Number(text);
}

export function port(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value <= 65_535)) throw new InvalidArgumentError('Use a port, 0 to 65535.');
  return value;
}

export function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

/** For options that may be given several times. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

export interface Size {
  width: number;
  height: number;
}

/** "512x768", or one number for a square. */
export function size(text: string): Size {
  const [, width, height = width] = /^(\d{1,5})(?:x(\d{1,5}))?$/i.exec(text) ?? [];
  const sides = { width: Number(width), height: Number(height) };
  const bad = [sides.width, sides.height].some((side) => !(side >= 16 && side <= 4096 && side % 16 === 0));
  if (bad) throw new InvalidArgumentError('Use WIDTHxHEIGHT, such as 512x768: multiples of 16, from 16 to 4096.');
  return sides;
}

const UNIT_BYTES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** "8GB", "4.5 GiB", "900M". Powers of 1024, as cards are sold. */
export function memory(text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  if (!value) throw new InvalidArgumentError('Use an amount of memory, such as 8GB or 900MB.');
  return Math.floor(Number(value) * UNIT_BYTES[unit!.toLowerCase()]!);
}

export interface AdapterUse {
  name: string;
  weight: number;
}

/** "herons" or "herons:0.7", one a flag. */
export function adapterUses(text: string, before: AdapterUse[] = []): AdapterUse[] {
  const [name, weight, ...more] = text.split(':');
  if (!name || more.length > 0) throw new InvalidArgumentError('Use NAME or NAME:WEIGHT, such as herons:0.7.');
  return [...before, { name, weight: weight === undefined ? 1 : decimal(weight) }];
}
