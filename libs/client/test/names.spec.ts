import { checkName, isKey, isName, nameFrom, newId } from '../src';

describe('names', () => {
  test.each([
    ['Art Nouveau!', 'art-nouveau'],
    ['  Été à Giverny ', 'ete-a-giverny'],
    ['_x_', 'x'],
    ['日本', 'unnamed'],
    ['', 'unnamed'],
    ['a'.repeat(200), 'a'.repeat(63)],
  ])('nameFrom(%j) is %j, which is a name', (text, name) => {
    expect(nameFrom(text)).toBe(name);
    expect(isName(nameFrom(text))).toBe(true);
  });

  test.each(['../etc', 'a/b', 'a.b', 'A', '-a', '', 'a b', 'a'.repeat(64), 'a*', 'a>', 'ä'])(
    '%j is no name, and the error says what one is',
    (text) => {
      expect(() => checkName('adapter name', text)).toThrow(/is not a name: use lower-case letters/);
    },
  );

  test('ids are unique keys that sort by the time they were made', () => {
    const ids = [newId('run', 1_000), newId('run', 2_000), newId('run', 2_000_000_000_000)];
    expect(new Set(ids).size).toBe(3);
    expect([...ids].sort()).toEqual(ids);
    expect(ids.every(isKey)).toBe(true);
    expect(newId('run', 1_000)).not.toBe(newId('run', 1_000));
  });
});
