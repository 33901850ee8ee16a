import type { google } from './messages';

type Timestamp = google.protobuf.ITimestamp;

export function timestamp(date: Date = new Date()): { seconds: number; nanos: number } {
  const milliseconds = date.getTime();
  return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 };
}

export function toDate(time: Timestamp | null | undefined): Date | undefined {
  if (!time) return undefined;
  return new Date((time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1e6));
}

export function newestFirst<T extends { createdAt?: Timestamp | null }>(items: T[]): T[] {
  const at = (item: T): number => toDate(item.createdAt)?.getTime() ?? 0;
  return [...items].sort((a, b) => at(b) - at(a));
}
