import { composeCaption } from './caption';

describe('composeCaption', () => {
  it('keeps what came with the picture, made one line in NFC', () => {
    expect(composeCaption('  a cafe\u0301\r\n  at night\t', '', 100)).toBe('a caf\u00e9 at night');
  });

  it('puts the trigger phrase in front, unless it is in there already', () => {
    expect(composeCaption('a cat', 'sks style', 100)).toBe('sks style, a cat');
    expect(composeCaption('a cat in SKS style', 'sks style', 100)).toBe('a cat in SKS style');
  });

  it.each([
    ['art', 'a party in a garden', 'art, a party in a garden'],
    ['art', 'art of a tower', 'art of a tower'],
    ['art', 'pop-art, framed', 'pop-art, framed'],
    ['art', '\u00e4rt', 'art, \u00e4rt'],
    ['tok', 'a token', 'tok, a token'],
    ['tok', 'in (TOK) style', 'in (TOK) style'],
    ['tok', 'tok_2', 'tok, tok_2'],
    ['sks style', 'in sks styles', 'sks style, in sks styles'],
    ['sks style', 'sks  style, a cat', 'sks style, a cat'],
    ['[art]', 'x[art]y', 'x[art]y'],
    ['a.b', 'axb', 'a.b, axb'],
    [
      '\u0430\u0440\u0442',
      '\u043f\u0430\u0440\u0442\u0438\u044f',
      '\u0430\u0440\u0442, \u043f\u0430\u0440\u0442\u0438\u044f',
    ],
    ['\u827a\u672f', '\u73b0\u4ee3\u827a\u672f\u54c1', '\u73b0\u4ee3\u827a\u672f\u54c1'],
  ])('looks for %j as whole words in %j', (trigger, caption, composed) => {
    expect(composeCaption(caption, trigger, 200)).toBe(composed);
  });

  it.each([undefined, '', ' \n'])('takes the trigger alone where the caption is %j', (given) => {
    expect(composeCaption(given, 'sks style', 100)).toBe('sks style');
  });

  it('says what to do when there is neither', () => {
    expect(() => composeCaption(undefined, '', 100)).toThrow('has no caption: write one into a .txt file beside it');
    expect(() => composeCaption(' \n', ' ', 100)).toThrow('has an empty caption');
  });

  it('refuses a caption over the limit, counted in bytes, with both figures', () => {
    expect(composeCaption('\u00e9'.repeat(50), '', 100)).toHaveLength(50);
    expect(() => composeCaption('\u00e9'.repeat(51), '', 100)).toThrow(
      'its caption has 102 bytes; 100 bytes are allowed',
    );
  });

  it('refuses a caption with NUL characters; other control characters become blanks', () => {
    expect(() => composeCaption('a\u0000 \u0000c\u0000', 'sks style', 100)).toThrow(
      'its caption holds NUL characters, so it is not text: save it as UTF-8',
    );
    expect(composeCaption('a\u0007cat\u001b', '', 100)).toBe('a cat');
  });
});
