import { httpUrl } from './ports';

test.each([
  ['127.0.0.1', 'http://127.0.0.1:7870'],
  ['0.0.0.0', 'http://127.0.0.1:7870'],
  ['::', 'http://[::1]:7870'],
  ['::1', 'http://[::1]:7870'],
  ['atelier.lan', 'http://atelier.lan:7870'],
])('what listens on %s is asked at %s', (host, url) => expect(httpUrl(host, 7870)).toBe(url));
