import { adapterUses, decimal, integer, list, memory, port, size } from './parse';

describe('parse', () => {
  test('size - WIDTHxHEIGHT, or one number for a square', () => {
    expect(size('512x768')).toEqual({ width: 512, height: 768 });
    expect(size('64')).toEqual({ width: 64, height: 64 });
  });

  test.each(['', 'x', '512x', '500x512', '0x16', '4112x16', '-16x16', '512x768x1', '5e2x16'])(
    'size - refuses %p',
    (text) => {
      expect(() => size(text)).toThrow('such as 512x768');
    },
  );

  test('memory - powers of 1024, with or without a unit', () => {
    expect(memory('8GB')).toBe(8 * 1024 ** 3);
    expect(memory('4.5 GiB')).toBe(4.5 * 1024 ** 3);
    expect(memory('900m')).toBe(900 * 1024 ** 2);
    expect(memory('12345')).toBe(12345);
  });

  test.each(['', 'GB', '-1GB', '8XB', '8 G B'])('memory - refuses %p', (text) => {
    expect(() => memory(text)).toThrow('such as 8GB');
  });

  test('adapterUses - a name, or a name with its weight, one after the other', () => {
    const uses = adapterUses('ink:-0.5', adapterUses('herons'));
    expect(uses).toEqual([
      { name: 'herons', weight: 1 },
      { name: 'ink', weight: -0.5 },
    ]);
  });

  test.each(['', ':0.5', 'a:b', 'a:0.5:1', 'a:'])('adapterUses - refuses %p', (text) => {
    expect(() => adapterUses(text)).toThrow();
  });

  test.each([
    ['7', 7],
    ['-1', -1],
  ])('integer - reads %p', (text, value) => expect(integer(text)).toBe(value));
  test.each(['', '1.5', '1e3', 'ten', '0x10'])('integer - refuses %p', (text) =>
    expect(() => integer(text)).toThrow('whole number'),
  );
  test.each([
    ['1e-4', 1e-4],
    ['-0.5', -0.5],
  ])('decimal - reads %p', (text, value) => expect(decimal(text)).toBe(value));
  test.each(['', ' ', 'NaN', 'Infinity', '1,5'])('decimal - refuses %p', (text) =>
    expect(() => decimal(text)).toThrow('a number'),
  );
  test.each(['65536', '-1', 'http'])('port - refuses %p', (text) => expect(() => port(text)).toThrow('0 to 65535'));
  test('list - parts without blanks or empty ones', () => expect(list(' to_k, to_q ,,')).toEqual(['to_k', 'to_q']));
});
