/** Address of a picture in the samples bucket, relative to the gateway unless its own address is given. */
export function pictureUrl(image: string, base = ''): string {
  return `${base}/v1/pictures/${image.split('/').map(encodeURIComponent).join('/')}`;
}

const TYPES: Record<string, string> = { png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', webp: 'image/webp' };

export function pictureType(image: string): string {
  return TYPES[image.split('.').at(-1)?.toLowerCase() ?? ''] ?? 'application/octet-stream';
}

/** Names that the services give to pictures: plain segments, nothing hidden, no way up. */
export function isPictureName(image: string): boolean {
  return (
    image.length <= 255 &&
    /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(image) &&
    !image.includes('..')
  );
}
