import { cleanPath, folderOf, printable, stemOf } from './paths';

describe('cleanPath', () => {
  it.each([
    ['cats/tom.jpg', 'cats/tom.jpg'],
    ['./cats//tom.jpg', 'cats/tom.jpg'],
    ['cats\\tom.jpg', 'cats/tom.jpg'],
    ['caf\u0065\u0301.jpg', 'caf\u00e9.jpg'],
    ['..tom.jpg', '..tom.jpg'],
  ])('makes %j into %j', (raw, clean) => {
    expect(cleanPath(raw)).toBe(clean);
  });

  it.each([
    ['../tom.jpg', 'leaves its folder'],
    ['cats/../../tom.jpg', 'leaves its folder'],
    ['cats\\..\\tom.jpg', 'leaves its folder'],
    ['/etc/passwd', 'absolute path'],
    ['C:\\tom.jpg', 'absolute path'],
    ['tom\u0000.jpg', 'control character'],
    ['./', 'empty name'],
    ['x'.repeat(1025), '1025 characters'],
  ])('refuses %j', (raw, reason) => {
    expect(() => cleanPath(raw)).toThrow(reason);
  });
});

it('stemOf and folderOf split at the last dot and slash of the name itself', () => {
  expect(stemOf('a.b/tom.tar.jpg')).toBe('a.b/tom.tar');
  expect(stemOf('a.b/tom')).toBe('a.b/tom');
  expect(stemOf('a.b/.tom')).toBe('a.b/.tom');
  expect(folderOf('a/b/tom.jpg')).toBe('a/b/');
  expect(folderOf('tom.jpg')).toBe('');
});

it('printable shows a hostile name without its control characters and at bounded length', () => {
  expect(printable('a\u001b[31m')).toBe('a\uFFFD[31m');
  expect(printable('x'.repeat(1000))).toHaveLength(201);
});
